"""What perfusion says of a case, whether it was measured here or came as ready maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from willis_models.errors import BrainNotPlausible
from willis_models.imaging.components import Mask, fill_holes_by_slice, largest_component
from willis_models.imaging.resample import sample_stack
from willis_models.perfusion.maps import PerfusionMaps
from willis_models.perfusion.measure import Perfusion, measure
from willis_models.perfusion.numbers import PerfusionNumbers, Regions, numbers_of
from willis_models.pipelines.base import Case, Request
from willis_models.pipelines.infarct.options import Point, read_options
from willis_models.pipelines.infarct.parameters import InfarctParameters, ReadyMapParameters
from willis_models.pipelines.infarct.roles import CTP, MAP_ROLES
from willis_models.volume import Floats, SliceStack

EDGE_MM = 0.01


@dataclass(frozen=True)
class Measured:
    """Maps, masks and numbers on the slices of ``role``; ``scan`` is None for ready maps.

    Maps are (z, y, x) float32 with NaN where nothing can be said; ``brain`` holds the tissue,
    vessels and fluid as well, ``tissue`` only what counts.
    """

    role: str
    stack: SliceStack
    maps: PerfusionMaps
    brain: Mask
    tissue: Mask
    numbers: PerfusionNumbers
    regions: Regions
    scan: Perfusion | None = None
    frame_times_s: Floats | None = None
    """When each frame began, after the first image of the series (t,)."""


def measure_case(case: Case, parameters: InfarctParameters, request: Request) -> Measured:
    """Perfusion of the raw series, or what ready maps say.

    Raises the leaves of PerfusionError, and BrainNotPlausible for maps without tissue.
    """
    image = case.get(CTP)
    if image is None or image.dynamic is None:
        return _of_maps(case, parameters)
    options = read_options(request.options)
    scan = measure(
        image.dynamic,
        parameters.perfusion,
        aif_lps=_point(options.aif_lps),
        vof_lps=_point(options.vof_lps),
        progress=request.progress,
    )
    read = numbers_of(scan.maps, scan.tissue, image.stack, parameters.perfusion.numbers)
    starts_s = image.dynamic.times_s.min(axis=1)
    return Measured(CTP, image.stack, scan.maps, scan.brain, scan.tissue, *read, scan, starts_s)


def _point(place_lps: Point | None) -> Floats | None:
    return None if place_lps is None else np.array(place_lps)


def _of_maps(case: Case, parameters: InfarctParameters) -> Measured:
    stack = case["tmax"].stack
    found = {role: _on(stack, case[role].stack) for role in MAP_ROLES if role in case}
    brain, tissue = _tissue(found, stack, parameters.ready_maps)
    inside = {role: np.where(tissue, one, np.nan) for role, one in found.items()}
    maps = PerfusionMaps(**{role: inside.get(role) for role in (*MAP_ROLES, "ttp")})
    read = numbers_of(maps, tissue, stack, parameters.perfusion.numbers)
    return Measured("tmax", stack, maps, brain, tissue, *read)


def _on(reference: SliceStack, stack: SliceStack) -> NDArray[np.float32]:
    """A map on the slices of another one; NaN where it does not reach."""
    if _is_same_place(reference, stack):
        return np.asarray(stack.voxels, dtype=np.float32)
    z, y, x = reference.shape
    index = np.stack(np.meshgrid(*map(np.arange, (z, y, x)), indexing="ij"), axis=-1)
    return sample_stack(stack, reference.to_world(index.astype(np.float64)), fill=np.nan)


def _is_same_place(first: SliceStack, second: SliceStack) -> bool:
    return first.shape == second.shape and all(
        np.allclose(a, b, atol=EDGE_MM)
        for a, b in (
            (first.origins_lps, second.origins_lps),
            (first.row_step_lps, second.row_step_lps),
            (first.column_step_lps, second.column_step_lps),
        )
    )


def _tissue(
    maps: dict[str, NDArray[np.float32]], stack: SliceStack, limits: ReadyMapParameters
) -> tuple[Mask, Mask]:
    """Brain and tissue: where blood flows, in one piece, without vessels."""
    known = np.all([np.isfinite(one) for one in maps.values()], axis=0)
    flows = known & (maps["cbf"] > limits.min_cbf)
    brain = fill_holes_by_slice(largest_component(flows))
    tissue = brain & known & (maps["cbf"] > 0)
    if "cbv" in maps:
        tissue &= maps["cbv"] < limits.max_cbv
    tissue_ml = float((tissue.sum(axis=(1, 2)) * stack.voxel_ml).sum())
    if tissue_ml < limits.min_tissue_ml:
        raise BrainNotPlausible(
            f"The maps hold {tissue_ml:.0f} mL of tissue with blood flow; at least "
            f"{limits.min_tissue_ml:.0f} mL are needed. Are they measured values, in their units?"
        )
    return brain, tissue
