"""From maps to what stroke teams read: core, penumbra, mismatch, and the state of collaterals.

Works from any set of maps, measured here or elsewhere; a number whose map is not at hand is None.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from willis_models.imaging.components import Mask
from willis_models.imaging.parts import without_small_parts
from willis_models.imaging.sides import left_of_middle
from willis_models.perfusion.maps import PerfusionMaps
from willis_models.perfusion.parameters import NumberParameters
from willis_models.volume import Array, SliceStack

Side = Literal["left", "right"]


@dataclass(frozen=True)
class Regions:
    """Masks (z, y, x) behind the numbers; None where a map is not at hand.

    ``core`` is rCBF under the limit within the hypoperfused tissue; ``penumbra`` the rest of it.
    ``relative_cbf`` (z, y, x) is CBF over that of normal tissue, NaN outside the tissue.
    """

    relative_cbf: Array | None
    hypoperfused: Mask | None
    core: Mask | None
    penumbra: Mask | None


@dataclass(frozen=True)
class PerfusionNumbers:
    """Volumes in mL and ratios; keys of the volumes are percents of normal CBF, seconds of Tmax.

    ``mismatch_ratio`` is hypoperfused volume over core; None where the core is empty, and
    ``mismatch_note`` then says so. ``hir`` is V(Tmax > 10 s) / V(Tmax > 6 s); None where nothing is
    hypoperfused. ``cbv_index`` is mean CBV where hypoperfused over mean CBV where normal.
    ``side`` of the body on which most of the hypoperfused tissue lies. ``normal_cbf`` is the
    reference in mL/100 g/min; ``reference`` names the tissue that it was read from.
    """

    rcbf_ml: dict[float, float] | None
    tmax_ml: dict[float, float] | None
    core_ml: float | None
    hypoperfused_ml: float | None
    penumbra_ml: float | None
    mismatch_ml: float | None
    mismatch_ratio: float | None
    mismatch_note: str
    hir: float | None
    cbv_index: float | None
    side: Side | None
    normal_cbf: float | None
    reference: str


def numbers_of(
    maps: PerfusionMaps, tissue: Mask, stack: SliceStack, parameters: NumberParameters
) -> tuple[PerfusionNumbers, Regions]:
    """Numbers and the masks behind them; ``stack`` gives the geometry of maps and ``tissue``."""
    scene = _Scene(tissue, stack, parameters)
    slow = {limit: scene.over(maps.tmax, limit) for limit in parameters.tmax_s}
    hypoperfused = scene.over(maps.tmax, parameters.hypoperfused_tmax_s)
    side = scene.side_of(hypoperfused)
    reference, name = scene.reference(maps.tmax, hypoperfused, side)
    relative, normal_cbf = scene.relative(maps.cbf, reference)
    low = {p: scene.under(relative, p / 100.0, hypoperfused) for p in parameters.rcbf_percent}
    core = scene.under(relative, parameters.core_rcbf_percent / 100.0, hypoperfused)
    penumbra = None if core is None or hypoperfused is None else hypoperfused & ~core
    severe = scene.over(maps.tmax, parameters.severe_tmax_s)
    core_ml, hypo_ml = scene.ml(core), scene.ml(hypoperfused)
    ratio, note = _mismatch_ratio(hypo_ml, core_ml)
    numbers = PerfusionNumbers(
        rcbf_ml=scene.volumes(low),
        tmax_ml=scene.volumes(slow),
        core_ml=core_ml,
        hypoperfused_ml=hypo_ml,
        penumbra_ml=scene.ml(penumbra),
        mismatch_ml=None if hypo_ml is None or core_ml is None else hypo_ml - core_ml,
        mismatch_ratio=ratio,
        mismatch_note=note,
        hir=_share(scene.ml(severe), hypo_ml),
        cbv_index=scene.cbv_index(maps, hypoperfused),
        side=side,
        normal_cbf=normal_cbf,
        reference=name if normal_cbf is not None else "",
    )
    return numbers, Regions(relative, hypoperfused, core, penumbra)


def _mismatch_ratio(hypo_ml: float | None, core_ml: float | None) -> tuple[float | None, str]:
    if hypo_ml is None or core_ml is None:
        return None, "Not assessable: it takes both a CBF and a Tmax map."
    if core_ml > 0:
        return hypo_ml / core_ml, ""
    if hypo_ml > 0:
        return None, "No core was found: the ratio has no limit."
    return None, "Neither core nor hypoperfused tissue was found."


def _share(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


class _Scene:
    """Tissue and geometry, for thresholds and volumes."""

    def __init__(self, tissue: Mask, stack: SliceStack, parameters: NumberParameters) -> None:
        self._tissue = tissue
        self._stack = stack
        self._parameters = parameters

    def ml(self, mask: Mask | None) -> float | None:
        """Volume, with each slice's own voxel volume."""
        if mask is None:
            return None
        return float(mask.sum(axis=(1, 2)) @ self._stack.voxel_ml)

    def volumes(self, masks: dict[float, Mask | None]) -> dict[float, float] | None:
        found = {limit: self.ml(mask) for limit, mask in masks.items()}
        known = {limit: volume for limit, volume in found.items() if volume is not None}
        return known if len(known) == len(found) else None

    def over(self, image: Array | None, limit: float) -> Mask | None:
        """Tissue over a threshold, without small components."""
        if image is None:
            return None
        return self._large(self._tissue & (np.nan_to_num(image, nan=-np.inf) > limit))

    def under(self, image: Array | None, limit: float, within: Mask | None) -> Mask | None:
        """Tissue under a threshold within hypoperfused tissue, or anywhere if that is unknown."""
        if image is None:
            return None
        mask = self._tissue & (np.nan_to_num(image, nan=np.inf) < limit)
        return self._large(mask if within is None else mask & within)

    def _large(self, mask: Mask) -> Mask:
        """The mask without face-connected parts under the least volume."""
        least_ml = self._parameters.min_component_ml
        return without_small_parts(mask, self._stack, least_ml, corners=False)

    @cached_property
    def _left(self) -> Mask:
        return left_of_middle(self._stack, self._tissue)

    def side_of(self, mask: Mask | None) -> Side | None:
        """The side that holds most of a mask; None for an empty one."""
        if mask is None or not mask.any():
            return None
        left, total = self.ml(mask & self._left), self.ml(mask)
        return "left" if (left or 0.0) > (total or 0.0) / 2 else "right"

    def reference(
        self, tmax: Array | None, hypoperfused: Mask | None, side: Side | None
    ) -> tuple[Mask, str]:
        """Normal tissue: timely perfusion on the other side, where a side is known."""
        normal = self._tissue
        if tmax is not None:
            timely = np.nan_to_num(tmax, nan=np.inf) <= self._parameters.normal_tmax_s
            normal = normal & timely
        if side is None:
            return normal, "tissue with normal Tmax" if tmax is not None else "all tissue"
        left = self._left
        opposite = normal & (~left if side == "left" else left)
        name = "right" if side == "left" else "left"
        if opposite.sum() < 0.1 * self._tissue.sum():
            return normal, "tissue with normal Tmax on both sides"
        return opposite, f"tissue with normal Tmax on the {name} side"

    def relative(self, cbf: Array | None, normal: Mask) -> tuple[Array | None, float | None]:
        """CBF over the mean of normal tissue, and that mean."""
        if cbf is None or not normal.any():
            return None, None
        mean = float(np.nanmean(cbf[normal]))
        if not mean > 0:
            return None, None
        return np.where(self._tissue, cbf / mean, np.nan).astype(np.float32), mean

    def cbv_index(self, maps: PerfusionMaps, hypoperfused: Mask | None) -> float | None:
        """Mean CBV of hypoperfused tissue over that of tissue in time."""
        if maps.cbv is None or maps.tmax is None or hypoperfused is None:
            return None
        normal = self._tissue & (maps.tmax <= self._parameters.normal_tmax_s)
        if not hypoperfused.any() or not normal.any():
            return None
        mean = float(np.nanmean(maps.cbv[normal]))
        return float(np.nanmean(maps.cbv[hypoperfused])) / mean if mean > 0 else None
