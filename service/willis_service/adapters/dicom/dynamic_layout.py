"""Where and when each image of a dynamic series was taken: positions along the normal, time points.

Instance numbers and the order of files count for nothing. Each slice keeps its own times, since in
shuttle mode, and in a cine scan, the slices of one time point are not taken at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from scipy.optimize import linear_sum_assignment

from willis_models.errors import MissingSlices, UnsuitableSeries
from willis_models.findings import QualityItem
from willis_service.adapters.dicom.clock import are_rounded, clock_of
from willis_service.adapters.dicom.geometry import (
    SlicePlane,
    StackLayout,
    arrange,
    check_complete,
)

Floats = NDArray[np.float64]

# The table comes back to a position within a fraction of a millimetre, not to the micrometre.
SAME_POSITION_MM = 0.3
MINIMUM_POSITIONS = 2
MINIMUM_TIME_POINTS = 10
_SAME_MOMENT_S = 1e-3
_FEW_IMAGES = 0.5
_SURPLUS_COSTS, _MOST_SURPLUS_COSTS = 3.0, 6.0
_MOST_MISSING = 0.02
_MOST_TRIMMED = 0.25
_ROUNDED = QualityItem(
    code="ACQUISITION_TIMES_ROUNDED",
    outcome="warn",
    message="The images state their times in whole seconds only: each may be off by up to 1 s.",
)


@dataclass(frozen=True)
class DynamicLayout:
    """The images of a dynamic series by time point and position.

    ``planes`` (t, z) has None where an image is missing; ``times_s`` (t, z) is complete, in seconds
    after the first image. ``copies`` are images of the same place and moment as the one in
    ``planes``. ``items`` say what was put right.
    """

    stack: StackLayout
    planes: tuple[tuple[SlicePlane | None, ...], ...]
    times_s: Floats
    copies: tuple[tuple[int, int, SlicePlane], ...] = ()
    items: tuple[QualityItem, ...] = ()

    @property
    def missing(self) -> tuple[tuple[int, int], ...]:
        """The (t, z) without an image, never at the first or the last time point."""
        every = ((t, z) for t, row in enumerate(self.planes) for z in range(len(row)))
        return tuple(at for at in every if self.planes[at[0]][at[1]] is None)


@dataclass(frozen=True)
class _Track:
    """The images of one position in the order of time, each with its copies behind it."""

    times_s: Floats
    planes: tuple[tuple[SlicePlane, ...], ...]

    def __len__(self) -> int:
        return len(self.planes)


def time_points_of(sizes: Sequence[int]) -> int:
    """How many time points a series has, by the images at each of its positions.

    The number that explains them best: a missing image is commoner than one too many, and a few
    positions that were scanned far more often (where both ends of a shuttle meet) say nothing.
    """
    found = np.array(sizes)
    if not len(found):
        return 0
    costs = {int(count): _cost(found, int(count)) for count in np.unique(found)}
    return max(costs, key=lambda count: (-costs[count], count))


def _cost(sizes: NDArray[np.int_], count: int) -> float:
    missing = np.clip(count - sizes, 0, None)
    surplus = np.clip(_SURPLUS_COSTS * (sizes - count), 0, _MOST_SURPLUS_COSTS)
    return float(missing.sum() + surplus.sum())


def lay_out_dynamic(datasets: Sequence[Dataset]) -> DynamicLayout:
    """Order the images by position and acquisition time.

    Raises GeometryError and its leaves, and UnsuitableSeries where the images don't say when they
    were taken.
    """
    layout = arrange(datasets, SAME_POSITION_MM)
    found = clock_of(datasets, layout)
    if found is None:
        raise UnsuitableSeries("The images of the dynamic series don't say when they were taken.")
    clock, times_s = found
    tracks = _tracks(layout, times_s)
    count = time_points_of([len(track) for track in tracks])
    kept = [z for z, track in enumerate(tracks) if len(track) >= _FEW_IMAGES * count]
    stack = StackLayout(tuple(layout.positions[z] for z in kept))
    check_complete(stack, MINIMUM_POSITIONS)
    table, times = _table([tracks[z] for z in kept], count)
    items: list[QualityItem] = [] if clock.is_direct else [_indirect(clock.name)]
    items += _left_out(len(layout.positions) - len(kept), "positions", code="POSITIONS_LEFT_OUT")
    taken = sum(track is not None for row in table for track in row)
    extra = sum(len(tracks[z]) for z in kept) - taken
    items += _left_out(extra, "surplus images", code="SURPLUS_IMAGES_LEFT_OUT")
    table, times, trimmed = _trimmed(table, times)
    items += _trim_items(trimmed, count)
    _check_missing(table)
    times = _filled(times)
    items += [_ROUNDED] if clock.is_direct and are_rounded(times) else []
    return DynamicLayout(
        stack=stack,
        planes=tuple(tuple(one[0] if one else None for one in row) for row in table),
        times_s=times - times.min(),
        copies=tuple(_copies(table)),
        items=tuple(items),
    )


def _tracks(layout: StackLayout, times_s: Floats) -> list[_Track]:
    sizes = [len(same) for same in layout.positions]
    parts = np.split(times_s, np.cumsum(sizes)[:-1])
    return [_track(same, part) for same, part in zip(layout.positions, parts, strict=True)]


def _track(planes: Sequence[SlicePlane], times_s: Floats) -> _Track:
    moments: list[float] = []
    groups: list[list[SlicePlane]] = []
    for n in np.argsort(times_s, kind="stable"):
        if moments and times_s[n] - moments[-1] < _SAME_MOMENT_S:
            groups[-1].append(planes[n])
        else:
            moments.append(float(times_s[n]))
            groups.append([planes[n]])
    return _Track(np.array(moments), tuple(tuple(group) for group in groups))


_Table = list[list[tuple[SlicePlane, ...] | None]]


def _table(tracks: Sequence[_Track], count: int) -> tuple[_Table, Floats]:
    """Each position's images in their time points: the k-th of a position that has them all.

    Elsewhere the images go to the time points of the nearest whole position that suit them best.
    """
    whole = [z for z, track in enumerate(tracks) if len(track) == count]
    table: _Table = [[None] * len(tracks) for _ in range(count)]
    times = np.full((count, len(tracks)), np.nan)
    for z, track in enumerate(tracks):
        nearest = tracks[min(whole, key=lambda one: abs(one - z))]
        for t, k in _matches(nearest.times_s, track.times_s):
            table[t][z], times[t, z] = track.planes[k], track.times_s[k]
    return table, times


def _matches(wanted_s: Floats, given_s: Floats) -> Iterator[tuple[int, int]]:
    if len(wanted_s) == len(given_s):
        yield from ((t, t) for t in range(len(wanted_s)))
        return
    rows, columns = linear_sum_assignment((wanted_s[:, None] - given_s[None]) ** 2)
    yield from zip(rows.tolist(), columns.tolist(), strict=True)


def _trimmed(table: _Table, times: Floats) -> tuple[_Table, Floats, int]:
    """Without the first and the last time points that some position does not have."""
    is_whole = [None not in row for row in table]
    if not any(is_whole):
        raise MissingSlices("No time point of the dynamic series is complete: send it again.")
    first = is_whole.index(True)
    last = len(is_whole) - is_whole[::-1].index(True)
    return table[first:last], times[first:last], len(table) - (last - first)


def _check_missing(table: _Table) -> None:
    """Raise MissingSlices where more is missing than may be filled in from before and after."""
    is_missing = np.array([[one is None for one in row] for row in table])
    allowed = max(1, int(_MOST_MISSING * is_missing.size))
    in_a_row = bool((is_missing[1:] & is_missing[:-1]).any())
    if int(is_missing.sum()) > allowed or in_a_row:
        raise MissingSlices(
            f"{int(is_missing.sum())} of {is_missing.size} images of the dynamic series are "
            "missing, more than can be filled in: send the series again, complete."
        )


def _filled(times: Floats) -> Floats:
    """The time of a missing image: as far between its neighbours' as at the other positions."""
    filled = times.copy()
    for t, z in np.argwhere(np.isnan(times)):
        before, here, after = times[t - 1 : t + 2]
        share = float(np.nanmedian((here - before) / (after - before)))
        filled[t, z] = before[z] + np.clip(share, 0.1, 0.9) * (after[z] - before[z])
    return filled


def _copies(table: _Table) -> Iterator[tuple[int, int, SlicePlane]]:
    for t, row in enumerate(table):
        for z, same in enumerate(row):
            yield from ((t, z, copy) for copy in (same or ())[1:])


def _indirect(name: str) -> QualityItem:
    return QualityItem(
        code="ACQUISITION_TIMES_INDIRECT",
        outcome="warn",
        message=f"The images state no acquisition times; {name} was used in their place.",
    )


def _left_out(count: int, what: str, code: str) -> list[QualityItem]:
    if not count:
        return []
    message = f"{count} {what} of the dynamic series were left out: the others don't have them."
    return [QualityItem(code=code, outcome="warn", message=message, value=count)]


def _trim_items(trimmed: int, count: int) -> list[QualityItem]:
    if trimmed > _MOST_TRIMMED * count:
        raise MissingSlices(
            f"{trimmed} of {count} time points are not there at every slice: send the series "
            "again, complete."
        )
    if not trimmed:
        return []
    message = f"{trimmed} time points at the beginning or the end are not there at every slice."
    return [QualityItem(code="TIME_POINTS_TRIMMED", outcome="warn", message=message, value=trimmed)]
