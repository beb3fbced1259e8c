"""When each image of a series was acquired, by whichever attribute tells its images apart.

Scanners state the time of an image in different places, and not all of them differ from image to
image: a cine scan may carry one AcquisitionTime for all. So every clock of a list is tried, the
one that means the acquisition itself before those that mean something near it.

Sources: PS3.3 C.7.6.16.2.2 (frame times of enhanced objects, as the IHE profile "CT/MR Perfusion
Imaging with Contrast" asks for them) and C.7.6.16.2.17 (temporal position), C.7.6.1 and C.8.2.1
(times of single images), C.7.6.18 (temporal positions); MidScanTime (0019,xx24) of the block
GEMS_ACQU_01, in seconds, is in GE's conformance statements and the public private dictionaries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from willis_service.adapters.dicom import headers
from willis_service.adapters.dicom.geometry import SlicePlane, StackLayout

Floats = NDArray[np.float64]

_DAY_S = 86_400.0
_RESOLVED = 0.9
_SAME_MOMENT_S = 1e-3


@dataclass(frozen=True)
class Clock:
    """A place where an image's time is stated; ``is_direct`` where it means the acquisition."""

    name: str
    read: Callable[[Dataset, int], float | None]
    is_direct: bool = True


def clock_of(datasets: Sequence[Dataset], layout: StackLayout) -> tuple[Clock, Floats] | None:
    """The clock by which the images at each position differ, and each plane's time in seconds.

    The times are in the order of the layout's planes. None where no clock tells the images apart.
    """
    planes = [plane for same in layout.positions for plane in same]
    sizes = [len(same) for same in layout.positions]
    readings = ((clock, _reading(clock, datasets, planes)) for clock in CLOCKS)
    usable = [(c, t) for c, t in readings if t is not None and _tells_apart(t, sizes)]
    if not usable:
        return None
    first = usable[0]
    # Whole seconds alone are rounded: a finer clock that agrees about the order goes before them.
    finer = (one for one in usable[1:] if one[0].is_direct and _is_finer(one[1], first[1], sizes))
    return next(finer, first) if _is_whole(first[1]) else first


def moments_of(header: Dataset) -> tuple[float, float] | None:
    """The earliest and the latest moment of one object in seconds, as far as it states any."""
    found = (_reading(clock, [header], _all_frames(header)) for clock in _ABSOLUTE)
    times = next((one for one in found if one is not None), None)
    return None if times is None else (float(times.min()), float(times.max()))


def are_rounded(times_s: Floats) -> bool:
    """Whether times (t, z) are whole seconds, and uneven as only rounding makes them."""
    steps_s = np.diff(times_s, axis=0)
    return _is_whole(times_s) and bool(np.ptp(steps_s) > _SAME_MOMENT_S)


def unwrapped(times_s: Floats) -> Floats:
    """Times across midnight, where the date did not follow: those of the early hours a day on."""
    if np.ptp(times_s) <= _DAY_S / 2:
        return times_s
    return np.where(times_s < times_s.min() + _DAY_S / 2, times_s + _DAY_S, times_s)


def _reading(
    clock: Clock, datasets: Sequence[Dataset], planes: Sequence[SlicePlane] | range
) -> Floats | None:
    """One time for each plane; None unless the clock is there on all of them."""
    times: list[float] = []
    for plane in planes:
        file, frame = (0, plane) if isinstance(plane, int) else (plane.file, plane.frame)
        moment = clock.read(datasets[file], frame)
        if moment is None:
            return None
        times.append(moment)
    return unwrapped(np.array(times))


def _all_frames(header: Dataset) -> range:
    return range(headers.frame_count(header))


def _tells_apart(times_s: Floats, sizes: Sequence[int]) -> bool:
    """Whether nearly all images at one position have a time of their own; copies have not."""
    distinct = sum(len(np.unique(np.round(same, 3))) for same in _split(times_s, sizes))
    return distinct >= _RESOLVED * len(times_s)


def _is_finer(times_s: Floats, coarse_s: Floats, sizes: Sequence[int]) -> bool:
    """Whether a clock has parts of a second, and never goes back where the coarse one goes on."""
    if _is_whole(times_s):
        return False
    pairs = zip(_split(times_s, sizes), _split(coarse_s, sizes), strict=True)
    return all(
        (np.diff(fine[np.argsort(coarse, kind="stable")]) > 0).all() for fine, coarse in pairs
    )


def _split(times_s: Floats, sizes: Sequence[int]) -> list[Floats]:
    return np.split(times_s, np.cumsum(sizes)[:-1])


def _is_whole(times_s: Floats) -> bool:
    return bool((np.abs(times_s - np.round(times_s)) < _SAME_MOMENT_S).all())


def _seconds_of_day(text: str | None) -> float | None:
    """``HHMMSS.ffffff`` in seconds; short forms, and the colons of old archives, are known."""
    digits = (text or "").replace(":", "").strip()
    try:
        hours, minutes, seconds = digits[:2], digits[2:4] or "0", digits[4:] or "0"
        return int(hours) * 3600.0 + int(minutes) * 60.0 + float(seconds)
    except ValueError:
        return None


def _seconds_of_date(text: str | None) -> float:
    try:
        return datetime.strptime(text or "", "%Y%m%d").toordinal() * _DAY_S
    except ValueError:
        return 0.0


def _moment(text: str | None) -> float | None:
    """``YYYYMMDDHHMMSS.ffffff&ZZXX`` in seconds; the zone is the same for all images."""
    plain = (text or "").split("+")[0].split("-")[0]
    time_s = _seconds_of_day(plain[8:]) if len(plain) > 8 else None
    return None if time_s is None else _seconds_of_date(plain[:8]) + time_s


def _datetime(keyword: str, group: str | None = None) -> Callable[[Dataset, int], float | None]:
    def read(header: Dataset, frame: int) -> float | None:
        if group is None:
            return _moment(headers.text(header, keyword))
        return _moment(headers.text(headers.group_item(header, group, keyword, frame), keyword))

    return read


def _date_and_time(stem: str) -> Callable[[Dataset, int], float | None]:
    def read(header: Dataset, frame: int) -> float | None:
        time_s = _seconds_of_day(headers.text(header, f"{stem}Time"))
        date_s = _seconds_of_date(headers.text(header, f"{stem}Date"))
        return None if time_s is None else date_s + time_s

    return read


def _number(
    keyword: str, unit_s: float, group: str | None = None
) -> Callable[[Dataset, int], float | None]:
    def read(header: Dataset, frame: int) -> float | None:
        item = header if group is None else headers.group_item(header, group, keyword, frame)
        found = headers.number(item, keyword)
        return None if found is None else found * unit_s

    return read


def _mid_scan(header: Dataset, frame: int) -> float | None:
    try:
        block = header.private_block(0x0019, "GEMS_ACQU_01")
        return float(block[0x24].value)
    except (KeyError, TypeError, ValueError):
        return None


def _counted(keyword: str, group: str | None = None) -> Callable[[Dataset, int], float | None]:
    """The number of the time point times the stated time between two of them, in ms."""

    def read(header: Dataset, frame: int) -> float | None:
        item = header if group is None else headers.group_item(header, group, keyword, frame)
        index, step_ms = headers.number(item, keyword), headers.number(header, "TemporalResolution")
        return None if index is None or not step_ms else index * step_ms / 1000.0

    return read


_CONTENT = "FrameContentSequence"
_ABSOLUTE = (
    Clock("FrameReferenceDateTime", _datetime("FrameReferenceDateTime", _CONTENT)),
    Clock("FrameAcquisitionDateTime", _datetime("FrameAcquisitionDateTime", _CONTENT)),
    Clock("AcquisitionDateTime", _datetime("AcquisitionDateTime")),
    Clock("AcquisitionTime", _date_and_time("Acquisition")),
)
CLOCKS = (
    *_ABSOLUTE[:2],
    Clock(
        "TemporalPositionTimeOffset",
        _number("TemporalPositionTimeOffset", 1.0, "TemporalPositionSequence"),
    ),
    *_ABSOLUTE[2:],
    Clock("MidScanTime", _mid_scan),
    Clock("TriggerTime", _number("TriggerTime", 1e-3)),
    Clock("ContentTime", _date_and_time("Content"), is_direct=False),
    Clock("TemporalPositionIndex", _counted("TemporalPositionIndex", _CONTENT), is_direct=False),
    Clock("TemporalPositionIdentifier", _counted("TemporalPositionIdentifier"), is_direct=False),
)
