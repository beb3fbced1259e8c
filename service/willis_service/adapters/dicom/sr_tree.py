"""The content tree of a written SR as it lies in the file, without the library that wrote it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydicom import Dataset

_TRACKING_IDENTIFIER = "112039"


def walk(item: Dataset) -> Iterator[Dataset]:
    """Every content item below this one."""
    for child in item.get("ContentSequence", ()):
        yield child
        yield from walk(child)


def value(code_sequence: Sequence[Dataset]) -> str:
    """The code of the first item."""
    item = code_sequence[0]
    return str(item.get("CodeValue") or item.get("LongCodeValue"))


def named(item: Dataset, concept: str) -> bool:
    """Whether the item has this concept name."""
    return "ConceptNameCodeSequence" in item and value(item.ConceptNameCodeSequence) == concept


def coded_value(group: Dataset, concept: str) -> str | None:
    """The code that stands under this concept name, None where there is none."""
    found = [item for item in walk(group) if named(item, concept)]
    return value(found[0].ConceptCodeSequence) if found else None


def identifier(group: Dataset) -> str:
    """The tracking identifier of a measurement group."""
    return next(str(i.TextValue) for i in group.ContentSequence if named(i, _TRACKING_IDENTIFIER))


def numbers(group: Dataset) -> dict[str, tuple[float, str]]:
    """Value and unit by the concept's code."""
    return {
        value(item.ConceptNameCodeSequence): (
            float(item.MeasuredValueSequence[0].NumericValue),
            value(item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence),
        )
        for item in group.get("ContentSequence", ())
        if item.ValueType == "NUM"
    }


def texts(item: Dataset, concept: str | None = None) -> list[str]:
    """The text items below this one, of one concept name or of any."""
    return [
        str(one.TextValue)
        for one in walk(item)
        if one.get("ValueType") == "TEXT" and (concept is None or named(one, concept))
    ]
