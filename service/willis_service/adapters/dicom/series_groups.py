"""Series that are one dynamic acquisition, stored apart by the scanner, put together again.

Grouped: series of one time point each (at least six, on the same positions, one after the other),
and dynamic series of different positions that were scanned in turn (the two ends of a shuttle).
Not grouped: two boluses, one after the other, since each has arteries and delays of its own; series
that differ in frame of reference, matrix, pixel spacing, orientation, kernel or slice thickness.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from willis_models.errors import GeometryError
from willis_service.adapters.dicom import headers
from willis_service.adapters.dicom.acquisition import kernel
from willis_service.adapters.dicom.clock import moments_of
from willis_service.adapters.dicom.dynamic_layout import time_points_of
from willis_service.adapters.dicom.files import SeriesListing
from willis_service.adapters.dicom.geometry import SlicePlane, planes_of
from willis_service.adapters.dicom.map_traits import map_of

_FEWEST_SERIES = 6
_LONGEST_STEP_S = 15.0
_SAME_PLACES = 0.9
_DYNAMIC_FROM = 5
_IN_TURN = 0.5

_Look = tuple[object, ...]


@dataclass(frozen=True)
class _Part:
    """A series that may be a part of an acquisition."""

    listing: SeriesListing
    places: frozenset[float]
    images_a_place: int
    starts_s: float
    ends_s: float


def with_groups(listings: Iterable[SeriesListing]) -> tuple[SeriesListing, ...]:
    """The same series in the same order, with those that are one acquisition as one.

    A group has the identifiers of the series with the lowest number.
    """
    listings = tuple(listings)
    group_of = {id(part.listing): group for group in _groups(listings) for part in group}
    found: list[SeriesListing] = []
    done: set[int] = set()
    for listing in listings:
        group = group_of.get(id(listing))
        if group is None:
            found.append(listing)
        elif id(group) not in done:
            done.add(id(group))
            found.append(merged([part.listing for part in group]))
    return tuple(found)


def _groups(listings: Sequence[SeriesListing]) -> Iterator[list[_Part]]:
    alike: dict[_Look, list[SeriesListing]] = defaultdict(list)
    for listing in listings:
        look = _look(listing)
        if look is not None:
            alike[look].append(listing)
    for same in alike.values():
        if len(same) > 1:
            parts = [part for part in map(_part, same) if part is not None]
            yield from _one_time_point_each(parts)
            yield from _scanned_in_turn(parts)


def _look(listing: SeriesListing) -> _Look | None:
    """What all parts of an acquisition share; None for a series that can't be a part."""
    if not listing.is_readable or listing.modality != "CT" or map_of(listing) is not None:
        return None
    header = listing.headers[0]
    try:
        plane = planes_of(header)[0]
    except (GeometryError, IndexError):
        return None
    return (
        listing.study_instance_uid,
        headers.text(header, "FrameOfReferenceUID"),
        headers.text(header, "SOPClassUID"),
        plane.matrix,
        tuple(np.round([*plane.spacing_mm, *plane.row_lps, *plane.column_lps], 3).tolist()),
        plane.thickness_mm,
        kernel(header),
    )


def _part(listing: SeriesListing) -> _Part | None:
    try:
        planes = [plane for header in listing.headers for plane in planes_of(header)]
    except GeometryError:
        return None
    moments = [moments_of(header) for header in listing.headers]
    known = [moment for moment in moments if moment is not None]
    if len(known) < len(moments):
        return None
    counts: dict[float, int] = defaultdict(int)
    for plane in planes:
        counts[_place(plane)] += 1
    return _Part(
        listing=listing,
        places=frozenset(counts),
        images_a_place=time_points_of(list(counts.values())),
        starts_s=min(start for start, _ in known),
        ends_s=max(end for _, end in known),
    )


def _place(plane: SlicePlane) -> float:
    return round(float(plane.origin_lps @ np.cross(plane.row_lps, plane.column_lps)), 1)


def _one_time_point_each(parts: Sequence[_Part]) -> Iterator[list[_Part]]:
    """Chains of series on the same places, each soon after the one before."""
    single = sorted((p for p in parts if p.images_a_place == 1), key=lambda one: one.starts_s)
    chain: list[_Part] = []
    for part in single:
        if chain and not _follows(chain[-1], part):
            if len(chain) >= _FEWEST_SERIES:
                yield _by_number(chain)
            chain = []
        chain.append(part)
    if len(chain) >= _FEWEST_SERIES:
        yield _by_number(chain)


def _follows(before: _Part, after: _Part) -> bool:
    shared = len(before.places & after.places)
    is_same_place = shared >= _SAME_PLACES * max(len(before.places), len(after.places))
    return is_same_place and 0 < after.starts_s - before.starts_s <= _LONGEST_STEP_S


def _scanned_in_turn(parts: Sequence[_Part]) -> Iterator[list[_Part]]:
    """Dynamic series of different places over the same time."""
    moving = sorted((p for p in parts if p.images_a_place >= _DYNAMIC_FROM), key=_number)
    for one, other in pairwise(moving):
        shared_s = min(one.ends_s, other.ends_s) - max(one.starts_s, other.starts_s)
        shorter_s = min(one.ends_s - one.starts_s, other.ends_s - other.starts_s)
        if not one.places & other.places and shared_s > _IN_TURN * shorter_s > 0:
            yield [one, other]
            return


def _by_number(parts: Sequence[_Part]) -> list[_Part]:
    return sorted(parts, key=_number)


def _number(part: _Part) -> tuple[int, str]:
    return part.listing.series_number or 0, part.listing.series_instance_uid


def merged(listings: Sequence[SeriesListing]) -> SeriesListing:
    """Several series as one, under the identifiers of the first."""
    return replace(
        listings[0],
        files=tuple(file for one in listings for file in one.files),
        headers=tuple(header for one in listings for header in one.headers),
    )
