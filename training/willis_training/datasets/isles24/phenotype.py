"""The clinical tables of an ISLES'24 case: one row, as .csv or as .xlsx."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from xml.etree import ElementTree

from willis_training.datasets.base import Fact
from willis_training.datasets.bids_names import number, read_table

# Only what stands here is read; columns are compared in small letters.
_NUMBERS = {
    "age": "age",
    "nihss at admission": "nihss",
    "nihss 24h": "nihss_24h",
    "mrs premorbid": "mrs_premorbid",
    "mrs 3 months": "mrs_3_months",
}
_MINUTES = {"onset to door": "onset_to_door_min", "door to imaging": "door_to_imaging_min"}
_WORDS = {"sex": "sex", "center": "centre", "tici postinterventional": "tici"}
_CLOCK = re.compile(r"(\d+):(\d{1,2})(?::(\d{1,2})(?:\.\d+)?)?")
_SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_DAY_MINUTES = 1440.0
_MOST_DAYS = 2.0
"""A larger number is no spreadsheet's time of day."""
_DAMAGED = (OSError, ValueError, IndexError, KeyError, zipfile.BadZipFile, ElementTree.ParseError)


def clinical_facts(folders: Iterable[Path]) -> dict[str, Fact]:
    """What the tables below the folders say; a table that can't be read says nothing."""
    found: dict[str, Fact] = {}
    tables = (p for folder in folders for p in sorted(folder.rglob("*")) if p.is_file())
    for path in tables:
        for row in rows_of(path)[:1]:
            found = {**_facts_of(row), **found}
    return found


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a .csv or .xlsx file by column; empty for another or a damaged file."""
    try:
        if path.suffix == ".xlsx":
            return _spreadsheet(path)
        return read_table(path) if path.suffix == ".csv" else []
    except _DAMAGED:
        return []


def _facts_of(row: Mapping[str, str]) -> dict[str, Fact]:
    cells = {str(column).strip().lower(): str(cell or "").strip() for column, cell in row.items()}
    found: dict[str, Fact] = {
        ours: value
        for theirs, ours in _NUMBERS.items()
        if (value := number(cells.get(theirs))) is not None
    }
    found |= {
        ours: value
        for theirs, ours in _MINUTES.items()
        if (value := minutes_of(cells.get(theirs, ""))) is not None
    }
    found |= {ours: _word(cells[theirs]) for theirs, ours in _WORDS.items() if cells.get(theirs)}
    return found


def _word(cell: str) -> str:
    """A spreadsheet's 1.0 and a table's 1 are the same word."""
    return cell.removesuffix(".0")


def minutes_of(cell: str) -> float | None:
    """``1:30:00`` or a spreadsheet's share of a day, in minutes; None for anything else."""
    clock = _CLOCK.fullmatch(cell)
    if clock is not None:
        hours, minutes, seconds = (float(part or 0) for part in clock.groups())
        return 60.0 * hours + minutes + seconds / 60.0
    share = number(cell)
    if share is None or not 0 <= share <= _MOST_DAYS:
        return None
    return round(share * _DAY_MINUTES, 3)


def _spreadsheet(path: Path) -> list[dict[str, str]]:
    """The first sheet of an Office Open XML workbook (ECMA-376), its first row as columns."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        shared = []
        if "xl/sharedStrings.xml" in names:
            strings = ElementTree.fromstring(archive.read("xl/sharedStrings.xml"))
            shared = [_text(item) for item in strings.iter(f"{_SHEET}si")]
        sheet = min(name for name in names if name.startswith("xl/worksheets/sheet"))
        rows = [
            {_column(cell): _value(cell, shared) for cell in row.iter(f"{_SHEET}c")}
            for row in ElementTree.fromstring(archive.read(sheet)).iter(f"{_SHEET}row")
        ]
    head, *body = rows or [{}]
    return [{head[c]: value for c, value in row.items() if c in head} for row in body]


def _column(cell: ElementTree.Element) -> str:
    return re.sub(r"\d", "", cell.get("r", ""))


def _value(cell: ElementTree.Element, shared: list[str]) -> str:
    if cell.get("t") == "inlineStr":
        return _text(cell)
    value = cell.findtext(f"{_SHEET}v") or ""
    return shared[int(value)] if cell.get("t") == "s" else value


def _text(element: ElementTree.Element) -> str:
    return "".join(part.text or "" for part in element.iter(f"{_SHEET}t"))
