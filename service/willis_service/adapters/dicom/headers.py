"""Tolerant access to DICOM headers: a value that is absent, empty or malformed reads as None."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from pydicom import Dataset
from pydicom.multival import MultiValue

_DAYS_IN = {"D": 1.0, "W": 7.0, "M": 365.25 / 12, "Y": 365.25}
_STUDY_DATES = ("StudyDate", "AcquisitionDate", "SeriesDate", "ContentDate")


def value(dataset: Dataset, keyword: str) -> Any:
    """The element's value, or None where it is absent, empty or can't be parsed."""
    try:
        found = dataset.get(keyword)
    # pydicom parses late: a malformed element raises only here.
    except (ValueError, TypeError, KeyError, AttributeError, NotImplementedError, OverflowError):
        return None
    return None if found is None or found == "" or found == [] else found


def text(dataset: Dataset, keyword: str) -> str | None:
    """The first value as text without surrounding blanks."""
    found = value(dataset, keyword)
    if isinstance(found, MultiValue):
        found = found[0]
    return (str(found).strip() or None) if found is not None else None


def texts(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """All values as upper-case text, for code strings such as ImageType."""
    found = value(dataset, keyword)
    if found is None:
        return ()
    several = found if isinstance(found, MultiValue) else [found]
    return tuple(str(one).strip().upper() for one in several)


def number(dataset: Dataset, keyword: str) -> float | None:
    """The first value as a finite number."""
    found = numbers(dataset, keyword)
    return found[0] if found else None


def numbers(dataset: Dataset, keyword: str) -> tuple[float, ...] | None:
    """All values as finite numbers, or None where one of them is not."""
    found = value(dataset, keyword)
    if found is None:
        return None
    several = found if isinstance(found, MultiValue) else [found]
    try:
        parsed = tuple(float(one) for one in several)
    except (ValueError, TypeError):
        return None
    return parsed if all(math.isfinite(one) for one in parsed) else None


def frame_count(header: Dataset) -> int:
    """How many frames the object holds."""
    count = number(header, "NumberOfFrames")
    return int(count) if count else 1


def is_enhanced(header: Dataset) -> bool:
    """Whether geometry lies in functional groups (PS3.3 C.7.6.16)."""
    return "PerFrameFunctionalGroupsSequence" in header


def group_item(header: Dataset, group: str, keyword: str, frame: int = 0) -> Dataset:
    """Where a keyword lies: in the frame's functional group, in the shared one, or at the top."""
    holders = (item for item in _group_items(header, group, frame) if keyword in item)
    return next(holders, header)


def _group_items(header: Dataset, group: str, frame: int) -> Iterator[Dataset]:
    per_frame = value(header, "PerFrameFunctionalGroupsSequence") or ()
    shared = value(header, "SharedFunctionalGroupsSequence") or ()
    for functional_groups in (*per_frame[frame : frame + 1], *shared[:1]):
        yield from (value(functional_groups, group) or ())[:1]


def age_years(header: Dataset) -> float | None:
    """PatientAge (0010,1010), else from the dates of birth and of the study; None if unknown."""
    stated = text(header, "PatientAge") or ""
    if len(stated) >= 2 and stated[:-1].isdigit() and stated[-1].upper() in _DAYS_IN:
        return int(stated[:-1]) * _DAYS_IN[stated[-1].upper()] / _DAYS_IN["Y"]
    born = _date(text(header, "PatientBirthDate"))
    dates = (_date(text(header, keyword)) for keyword in _STUDY_DATES)
    examined = next((date for date in dates if date is not None), None)
    if born is None or examined is None or examined < born:
        return None
    birthday_passed = (examined.month, examined.day) >= (born.month, born.day)
    full_years = examined.year - born.year - (not birthday_passed)
    return (examined - born).days / _DAYS_IN["Y"] if full_years < 1 else float(full_years)


def _date(stated: str | None) -> datetime | None:
    try:
        return datetime.strptime(stated or "", "%Y%m%d")
    except ValueError:
        return None
