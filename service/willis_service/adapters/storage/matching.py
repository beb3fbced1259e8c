"""How a value of a search is matched (PS3.4 C.2.2.2), written for the database."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import ColumnElement, and_

Condition = ColumnElement[bool]
_ESCAPED = str.maketrans({"\\": "\\\\", "%": r"\%", "_": r"\_"})
_WILDCARDS = str.maketrans({"*": "%", "?": "_"})


def one_of(column: ColumnElement[str], value: str) -> Condition:
    """UID list matching (PS3.4 C.2.2.2.2); a list has commas or backslashes between its UIDs."""
    return column.in_([uid.strip() for uid in value.replace("\\", ",").split(",")])


def like(column: ColumnElement[str], value: str) -> Condition:
    """Single value or wildcard matching (PS3.4 C.2.2.2.4)."""
    if "*" not in value and "?" not in value:
        return column == value
    return column.like(value.translate(_ESCAPED).translate(_WILDCARDS), escape="\\")


def _like_folded(column: ColumnElement[str], value: str) -> Condition:
    return like(column, value.casefold())


def _like_name(column: ColumnElement[str], value: str) -> Condition:
    """A name matches where the whole of it or one of its component groups does."""
    return like(column, f"*={value.casefold().strip('=')}=*")


def _in_range(column: ColumnElement[str], value: str) -> Condition:
    """Single value or range matching (PS3.4 C.2.2.2.5)."""
    first, dash, last = value.partition("-")
    if not dash:
        return column == first
    bounds = [column != ""]
    if first:
        bounds.append(column >= first)
    if last:
        bounds.append(column <= last)
    return and_(*bounds)


Test = tuple[str, Callable[[ColumnElement[str], str], Condition]]
STUDY_TESTS: Mapping[str, Test] = {
    "PatientID": ("patient_id", like),
    "PatientName": ("patient_name", _like_name),
    "AccessionNumber": ("accession_number", like),
    "StudyDate": ("study_date", _in_range),
    "StudyDescription": ("study_description", _like_folded),
}
SERIES_TESTS: Mapping[str, Test] = {
    "SeriesInstanceUID": ("series_instance_uid", one_of),
    "Modality": ("modality", like),
    "SeriesDescription": ("series_description", _like_folded),
    "SeriesNumber": ("series_number", like),
}
