"""From the scan to the network's input: perfusion first, then all images on one lattice.

The same function serves training and service; whatever changes its result is in the manifest. The
channels are the manifest's inputs in their order, then the mask of the tissue, then one channel for
each input that may be missing: 1 inside the brain where it was there, else 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from willis_models.errors import RegistrationFailed
from willis_models.findings import QualityItem
from willis_models.imaging.components import Mask
from willis_models.imaging.resample import grid_points, sample_stack, shrink
from willis_models.manifest import IntensityTransform, Manifest, NetworkInput
from willis_models.pipelines.base import Assets, Case, Prepared, Request
from willis_models.pipelines.infarct.align import Aligned, align
from willis_models.pipelines.infarct.measured import Measured, measure_case
from willis_models.pipelines.infarct.parameters import (
    InfarctParameters,
    network_grid,
    parameters_of,
)
from willis_models.pipelines.infarct.quality import scan_items
from willis_models.pipelines.infarct.roles import STILL_ROLES
from willis_models.volume import Array, Floats, Grid, SliceStack

Image = NDArray[np.float32]
RELATIVE = "{ratio}"
"""Unit of an input that is divided by its mean over the normal tissue of the patient."""
_HALF = 0.5
_LEAST_MEAN = 1e-3


@dataclass(frozen=True)
class OnGrid:
    """Context of the interpretation: what was measured, and the lattice of the network."""

    measured: Measured
    grid: Grid
    brain: Mask


def prepare(case: Case, manifest: Manifest, assets: Assets, request: Request) -> Prepared:
    """The network's input (channels, z, y, x), and what was measured.

    Raises the leaves of PerfusionError, and BrainNotPlausible.
    """
    parameters = parameters_of(manifest)
    measured = measure_case(case, parameters, request)
    request.progress("align")
    stills, items = _aligned(case, measured, parameters)
    request.progress("sample")
    prepared = on_grid(measured, stills, manifest)
    return replace(prepared, quality=(*scan_items(measured, parameters), *items))


def on_grid(measured: Measured, stills: Mapping[str, Aligned], manifest: Manifest) -> Prepared:
    """Everything on the network's lattice, without quality items."""
    grid = network_grid(manifest, _centre(measured))
    points = grid_points(grid)
    spacing_mm = min(grid.spacing_mm)
    everywhere = np.ones(measured.stack.shape, bool)
    brain = _sample_inside(measured.brain, everywhere, measured.stack, points, spacing_mm) > _HALF
    share = _sample_inside(measured.tissue, everywhere, measured.stack, points, spacing_mm)
    tissue = np.where(brain, share, 0.0).astype(np.float32)
    normal_tmax_s = parameters_of(manifest).perfusion.numbers.normal_tmax_s
    channels, flags = [], []
    for spec in manifest.inputs:
        image = _channel(spec, measured, stills, points, spacing_mm, normal_tmax_s)
        channels.append(_scaled(image, brain, spec.intensity))
        if not spec.required:
            flags.append(np.where(brain, np.float32(image is not None), np.float32(0)))
    stacked = np.stack([*channels, tissue, *flags]).astype(np.float32)
    return Prepared(stacked, (), OnGrid(measured, grid, brain))


def channel_count(manifest: Manifest) -> int:
    """How many channels the network's input has."""
    return len(manifest.inputs) + 1 + sum(not spec.required for spec in manifest.inputs)


def _aligned(
    case: Case, measured: Measured, parameters: InfarctParameters
) -> tuple[dict[str, Aligned], list[QualityItem]]:
    """The still series that could be laid on the perfusion scan; one that could not is left out."""
    found: dict[str, Aligned] = {}
    items: list[QualityItem] = []
    for role in STILL_ROLES:
        if role not in case:
            continue
        stack = case[role].stack
        try:
            found[role] = _align(stack, measured, parameters)
        except RegistrationFailed as error:
            items.append(_left_out(role, error))
            continue
        items.append(_alignment_item(role, found[role]))
    return found, items


def _align(stack: SliceStack, measured: Measured, parameters: InfarctParameters) -> Aligned:
    """Ready maps hold no anatomy to align with: they lie in the scanner's frame as they came."""
    if measured.scan is None:
        return Aligned(stack, np.eye(4), 0.0, 1.0)
    return align(stack, measured.scan.still, parameters.alignment)


def _left_out(role: str, error: RegistrationFailed) -> QualityItem:
    name = role.upper()
    return QualityItem(
        code=f"{name}_LEFT_OUT", outcome="warn", message=f"The {name} was left out. {error.message}"
    )


def _alignment_item(role: str, found: Aligned) -> QualityItem:
    name = role.upper()
    return QualityItem(
        code=f"{name}_ALIGNED",
        outcome="pass",
        message=f"The {name} was laid on the perfusion scan; shift of the middle of the scan.",
        value=round(found.shift_mm, 1),
        unit="mm",
    )


def _channel(
    spec: NetworkInput,
    measured: Measured,
    stills: Mapping[str, Aligned],
    points: Floats,
    spacing_mm: float,
    normal_tmax_s: float,
) -> Image | None:
    """One input on the lattice in its unit, NaN where nothing is known; None for a missing one."""
    if spec.role in STILL_ROLES:
        still = stills.get(spec.role)
        return None if still is None else still.sample(points, spacing_mm, spec.intensity.low)
    values = getattr(measured.maps, spec.role)
    if values is None:
        return None
    inside = measured.tissue & np.isfinite(values)
    image = _sample_inside(values, inside, measured.stack, points, spacing_mm)
    if spec.unit == RELATIVE:
        image = image / normal_mean(values, measured, normal_tmax_s)
    return image


def normal_mean(values: Image, measured: Measured, normal_tmax_s: float) -> float:
    """Mean of a map over the tissue that blood reaches in time; of all tissue if none is."""
    tmax = measured.maps.tmax
    known = measured.tissue & np.isfinite(values)
    timely = known if tmax is None else known & (np.nan_to_num(tmax, nan=np.inf) <= normal_tmax_s)
    counted = values[timely if timely.any() else known]
    return max(float(counted.mean()), _LEAST_MEAN) if counted.size else 1.0


def _sample_inside(
    values: Array, inside: Mask, stack: SliceStack, points: Floats, spacing_mm: float
) -> Image:
    """Mean over the voxels that count, at world points; NaN where none is near."""
    kept = np.where(inside, values, 0).astype(np.float32)
    total, weight = (
        sample_stack(shrink(stack.with_voxels(one), spacing_mm), points, fill=0.0)
        for one in (kept, inside.astype(np.float32))
    )
    return np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > 1e-3)


def _scaled(image: Image | None, brain: Mask, intensity: IntensityTransform) -> Image:
    """Clipped and scaled inside the brain; outside, and where nothing is known, 0."""
    if image is None:
        return np.zeros(brain.shape, np.float32)
    clipped = np.clip(image, intensity.low, intensity.high)
    if intensity.mean is not None and intensity.sd is not None:
        scaled = (clipped - intensity.mean) / intensity.sd
    else:
        scaled = (clipped - intensity.low) / (intensity.high - intensity.low)
    return np.where(brain & np.isfinite(image), scaled, 0.0).astype(np.float32)


def _centre(measured: Measured) -> Floats:
    """Middle of the brain's extent in the scan, LPS mm."""
    stack = measured.stack
    spans = []
    for axis in range(3):
        others = tuple(n for n in range(3) if n != axis)
        held = np.flatnonzero(measured.brain.any(axis=others))
        spans.append((held[0] + held[-1]) / 2)
    low = stack.to_world(np.array([np.floor(spans[0]), *spans[1:]]))
    high = stack.to_world(np.array([np.ceil(spans[0]), *spans[1:]]))
    return np.asarray((low + high) / 2)
