"""Which of several series that fit is the better one, and why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from willis_models.pipelines.base import Role
from willis_service.adapters.dicom import headers
from willis_service.adapters.dicom.acquisition import kernel
from willis_service.adapters.dicom.files import SeriesListing
from willis_service.adapters.dicom.geometry import planes_of
from willis_service.adapters.dicom.kernels import Sharpness, sharpness
from willis_service.adapters.dicom.series_names import called
from willis_service.adapters.dicom.suitability import is_angiography
from willis_service.domain.rules import Rule

_THICKEST_PREFERRED_MM = 5.5
_WHOLE_HEAD_MM = 120.0
_REASONABLE_SLICES = 300
_SOFT_FIRST: dict[Sharpness, int] = {"soft": 0, "unknown": 1, "sharp": 2}


@dataclass(frozen=True)
class _Merits:
    """What speaks for a series that fits."""

    is_original: bool
    kernel: str | None
    thickness_mm: float
    coverage_mm: float
    slices: int
    images: int


def _merits(listing: SeriesListing) -> _Merits:
    header = listing.headers[0]
    planes = [plane for one in listing.headers for plane in planes_of(one)]
    normal = np.cross(planes[0].row_lps, planes[0].column_lps)
    distances = [float(plane.origin_lps @ normal) for plane in planes]
    coverage_mm = max(distances) - min(distances)
    slices = len({round(distance, 1) for distance in distances})
    step_mm = coverage_mm / max(slices - 1, 1)
    kinds = headers.texts(header, "ImageType")[:2]
    return _Merits(
        is_original=kinds == ("ORIGINAL", "PRIMARY"),
        kernel=kernel(header),
        thickness_mm=planes[0].thickness_mm or step_mm,
        coverage_mm=coverage_mm,
        slices=slices,
        images=len(planes),
    )


def preference(listing: SeriesListing, role: Role) -> tuple[float, ...]:
    """Smaller is better: original, soft kernel, whole head, not thick, many slices, first.

    Before that the wide and long dynamic series, and for an angiography one that says so.
    """
    merits = _merits(listing)
    if role.kind == "dynamic":
        return (-merits.coverage_mm // 5, -merits.images, not merits.is_original, _number(listing))
    first = not is_angiography(listing) if role.name == "cta" else False
    within_reason = min(merits.slices, _REASONABLE_SLICES)
    return (
        first,
        not merits.is_original,
        _SOFT_FIRST[sharpness(merits.kernel)],
        -min(merits.coverage_mm, _WHOLE_HEAD_MM) // 10,
        merits.thickness_mm > _THICKEST_PREFERRED_MM,
        -within_reason,
        merits.slices - within_reason,
        _number(listing),
    )


def _number(listing: SeriesListing) -> int:
    return listing.series_number or 0


def why_chosen(listing: SeriesListing, fitting: int, rule: Rule | None) -> str:
    """The reason for a choice among so many series that fit."""
    merits = _merits(listing)
    origin = "original" if merits.is_original else "derived"
    soft = {"soft": "soft-tissue kernel", "sharp": "sharp kernel", "unknown": "kernel"}
    used = f"{soft[sharpness(merits.kernel)]} {merits.kernel or 'not stated'}"
    choice = "the only series that fits" if fitting == 1 else f"the best of {fitting} that fit"
    given = "" if rule is None else f"rule '{rule.name}'; "
    points = round(merits.images / merits.slices)
    times = "" if points < 2 else f" at {points} time points"
    return (
        f"{called(listing)}: {given}{choice}; {origin} images, {used}, slices of "
        f"{merits.thickness_mm:g} mm covering {merits.coverage_mm:.0f} mm{times}."
    )
