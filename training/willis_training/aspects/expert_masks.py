"""What the network says of single slices, beside what an expert outlined on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from willis_models.errors import InputError
from willis_models.findings import State
from willis_models.imaging.components import Mask
from willis_models.pipelines.aspects.states import RegionState
from willis_models.pipelines.base import Predictor
from willis_models.runtime.bundle import Bundle
from willis_training.aspects.single_slice import (
    Plane,
    approximate_hu,
    read_expert,
    read_grey,
    slice_brain,
)
from willis_training.aspects.slice_placement import PlacedSlice, place_slice
from willis_training.aspects.slice_regions import SliceRegions, find_regions, template_of

COVERED_SHARE = 0.2
BOTH_SIDES_SHARE = 1 / 3
"""A mask is on both sides where the smaller side holds more than this part of the larger."""


@dataclass(frozen=True)
class RegionOnSlice:
    """One region of a slice: its state, and the shares of it that the expert outlined."""

    found: RegionState
    core_share: float
    ischaemic_share: float

    @property
    def name(self) -> str:
        """Region and side, such as ``M1 left``."""
        return f"{self.found.region} {self.found.side}"


@dataclass(frozen=True)
class JudgedSlice:
    """One slice with its regions, masks and sides.

    ``core`` and ``ischaemic`` (core or penumbra) are the expert's masks on the slice's pixels;
    ``grey_quantiles`` the 2%, 50% and 98% quantiles of the brain's grey values.
    """

    name: str
    grey: Plane
    core: Mask
    ischaemic: Mask
    placed: PlacedSlice
    found: SliceRegions
    regions: tuple[RegionOnSlice, ...]
    grey_quantiles: tuple[float, float, float]
    expert_side: str
    model_side: str | None
    darker_side: str | None


@dataclass(frozen=True)
class UnusableSlice:
    """A slice that could not be brought to the network, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Counts:
    """Regions called and not, by the expert's outline."""

    hits: int
    affected: int
    rejections: int
    unaffected: int


def judge_slices(
    folder: Path, bundle: Bundle, predictor: Predictor
) -> Iterator[JudgedSlice | UnusableSlice]:
    """Every slice of ``folder``/images with its mask in ``folder``/masks, by name."""
    for image in sorted((folder / "images").glob("*.png")):
        try:
            yield judge_slice(image, folder / "masks" / image.name, bundle, predictor)
        except InputError as error:
            yield UnusableSlice(image.stem, error.message)


def judge_slice(image: Path, mask: Path, bundle: Bundle, predictor: Predictor) -> JudgedSlice:
    """Place one slice, find its regions and compare. Raises InputError where it can't be placed."""
    grey = read_grey(image)
    core, penumbra = read_expert(mask)
    brain, hu = slice_brain(grey), approximate_hu(grey)
    placed = place_slice(hu, brain, template_of(bundle.assets, bundle.manifest))
    found = find_regions(placed, brain, bundle.manifest, bundle.assets, predictor)
    ischaemic = core | penumbra
    low, middle, high = (float(q) for q in np.quantile(grey[brain], [0.02, 0.5, 0.98]))
    return JudgedSlice(
        name=image.stem,
        grey=grey,
        core=core,
        ischaemic=ischaemic,
        placed=placed,
        found=found,
        regions=tuple(_compare(found, core, ischaemic)),
        grey_quantiles=(low, middle, high),
        expert_side=side_of(ischaemic, placed),
        model_side=_leading(found.states, lambda item: item.probability or 0.0),
        darker_side=_leading(found.states, _darkness),
    )


def side_of(mask: Mask, placed: PlacedSlice) -> str:
    """The patient's side of a mask on the slice: left, right or both; the midline is x = 0."""
    rows, columns = np.nonzero(mask)
    index = np.stack([np.full(rows.shape, placed.middle), rows, columns], axis=-1)
    x_mm = placed.stack.to_world(index.astype(np.float64))[:, 0]
    left, right = int((x_mm > 0).sum()), int((x_mm <= 0).sum())
    if min(left, right) > BOTH_SIDES_SHARE * max(left, right):
        return "both"
    return "left" if left > right else "right"


def _compare(found: SliceRegions, core: Mask, ischaemic: Mask) -> Iterator[RegionOnSlice]:
    """Regions of which the slice shows any pixel."""
    for item in found.states:
        region = found.labels == item.evidence.label
        if region.any():
            yield RegionOnSlice(item, float(core[region].mean()), float(ischaemic[region].mean()))


def _darkness(item: RegionState) -> float:
    difference = item.evidence.difference_hu
    return 0.0 if difference is None else max(difference, 0.0) * item.evidence.counted


def _leading(states: Sequence[RegionState], weight: Callable[[RegionState], float]) -> str | None:
    """The side with more weight over its assessable regions; None without any."""
    known = [item for item in states if item.state != "not_assessable"]
    total = {side: sum(weight(i) for i in known if i.side == side) for side in ("left", "right")}
    if total["left"] == total["right"]:
        return None
    return max(total, key=lambda side: total[side])


def count(
    slices: Sequence[JudgedSlice],
    truth: Callable[[RegionOnSlice], float],
    state: Callable[[RegionState], State],
) -> Counts:
    """Assessable regions: called among those with at least 20% outlined, and not among others."""
    known = [r for s in slices for r in s.regions if r.found.state != "not_assessable"]
    affected = [r for r in known if truth(r) >= COVERED_SHARE]
    unaffected = [r for r in known if truth(r) < COVERED_SHARE]
    return Counts(
        hits=sum(state(r.found) == "affected" for r in affected),
        affected=len(affected),
        rejections=sum(state(r.found) != "affected" for r in unaffected),
        unaffected=len(unaffected),
    )
