"""A series as completeness sees it: its slices, their time points, and what was announced."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np
from pydicom import Dataset

from willis_models.errors import GeometryError
from willis_models.pipelines.base import RoleKind
from willis_service.adapters.dicom import headers
from willis_service.adapters.dicom.dynamic_layout import SAME_POSITION_MM
from willis_service.adapters.dicom.files import SeriesListing
from willis_service.adapters.dicom.geometry import (
    ONE_POSITION_MM,
    SlicePlane,
    StackLayout,
    arrange,
    gaps_in,
)
from willis_service.domain.completeness import Moment, Place, SeriesShape

_TIMES = (
    "TemporalPositionIdentifier",
    "TriggerTime",
    "AcquisitionDateTime",
    "AcquisitionDate",
    "AcquisitionTime",
    "ContentTime",
    "AcquisitionNumber",
)

_SAME_POSITION_MM: Mapping[RoleKind, float] = {
    "volume": ONE_POSITION_MM,
    "map": ONE_POSITION_MM,
    "dynamic": SAME_POSITION_MM,
}


def shape_of(listing: SeriesListing, kind: RoleKind = "volume") -> SeriesShape | None:
    """The shape of a series; None where its images don't make one stack."""
    try:
        layout = arrange(listing.headers, _SAME_POSITION_MM[kind])
    except GeometryError:
        return None
    return SeriesShape(
        places=_places(listing, layout),
        has_gap=bool(gaps_in(layout)),
        images=len(listing.headers),
        is_whole_object=_is_whole_object(listing),
        stated_step_mm=headers.number(listing.headers[0], "SpacingBetweenSlices") or None,
        announced_images=_announced_images(listing.headers),
        announced_time_points=_largest(listing.headers, "NumberOfTemporalPositions"),
        time_indexes=frozenset(_time_indexes(listing)),
    )


def _places(listing: SeriesListing, layout: StackLayout) -> tuple[Place, ...]:
    first = layout.first
    normal = np.cross(first.row_lps, first.column_lps)
    return tuple(
        Place(
            along_mm=float(planes[0].origin_lps @ normal),
            thickness_mm=planes[0].thickness_mm,
            images=len(planes),
            moments=frozenset(_moment(listing, plane) for plane in planes),
        )
        for planes in layout.positions
    )


def _moment(listing: SeriesListing, plane: SlicePlane) -> Moment:
    header = listing.headers[plane.file]
    index = _frame_index(header, plane.frame)
    stated = ((keyword, headers.text(header, keyword)) for keyword in _TIMES)
    told = tuple(f"{keyword} {text}" for keyword, text in stated if text is not None)
    return told if index is None else (f"TemporalPositionIndex {index}", *told)


def _frame_index(header: Dataset, frame: int) -> int | None:
    keyword = "TemporalPositionIndex"
    if not headers.is_enhanced(header):
        return None
    found = headers.number(
        headers.group_item(header, "FrameContentSequence", keyword, frame), keyword
    )
    return None if found is None else int(found)


def _time_indexes(listing: SeriesListing) -> Iterable[int]:
    for header in listing.headers:
        index = headers.number(header, "TemporalPositionIdentifier")
        if index is not None:
            yield int(index)


def _is_whole_object(listing: SeriesListing) -> bool:
    """Whether the series is one multi-frame object, no part of a concatenation (C.7.6.16.2.2.4)."""
    header = listing.headers[0]
    if len(listing.headers) != 1 or not headers.is_enhanced(header):
        return False
    groups = headers.value(header, "PerFrameFunctionalGroupsSequence") or ()
    is_part = (headers.number(header, "InConcatenationTotalNumber") or 1) > 1
    return len(groups) == headers.frame_count(header) and not is_part


def _announced_images(every: Iterable[Dataset]) -> int | None:
    """How many images the sender says there are: of the series, else of its acquisitions in all."""
    every = tuple(every)
    of_series = _largest(every, "NumberOfSeriesRelatedInstances")
    if of_series is not None:
        return of_series
    by_acquisition: dict[str | None, list[Dataset]] = defaultdict(list)
    for header in every:
        by_acquisition[headers.text(header, "AcquisitionNumber")].append(header)
    counts = [_largest(same, "ImagesInAcquisition") for same in by_acquisition.values()]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _largest(every: Iterable[Dataset], keyword: str) -> int | None:
    found = (headers.number(header, keyword) for header in every)
    return max((int(number) for number in found if number and number > 0), default=None)
