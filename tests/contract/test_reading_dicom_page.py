"""Every code that reading can give is explained on its page, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from willis_models import errors
from willis_service.adapters.dicom.clock import CLOCKS

_GIVEN = re.compile(r"""(?:Reason\(\s*|code=)"([A-Z_]+)\"""")
_LISTED = re.compile(r"^\| `([A-Z0-9_]+)` \|", re.MULTILINE)
_NAMED = re.compile(r"\b(?:raise |named\(\s*)([A-Z]\w+)")
_MODULES = (
    "dicom/case_reader",
    "dicom/dynamic_layout",
    "dicom/dynamic_reader",
    "dicom/geometry",
    "dicom/map_reader",
    "dicom/pixels",
    "dicom/reader",
    "dicom/suitability",
    "dicom/suitability_in_time",
    "dicom/suitability_of_maps",
    "nifti/frame_times",
    "nifti/reader",
    "nifti/series",
)


@pytest.fixture(scope="module")
def source(repository: Path) -> str:
    folder = repository / "service" / "willis_service" / "adapters"
    selection = folder / "dicom" / "series_selection.py"
    return "\n".join(
        path.read_text() for path in (*(folder / f"{name}.py" for name in _MODULES), selection)
    )


@pytest.fixture(scope="module")
def listed(repository: Path) -> set[str]:
    return set(_LISTED.findall((repository / "docs" / "reading-dicom.md").read_text()))


def test_every_quality_item_and_reason_is_on_the_page(source: str, listed: set[str]) -> None:
    given = set(_GIVEN.findall(source))

    assert len(given) >= 18
    assert given <= listed


def test_every_error_that_reading_raises_is_on_the_page(source: str, listed: set[str]) -> None:
    raised = {
        getattr(errors, name).code for name in _NAMED.findall(source) if hasattr(errors, name)
    }

    assert len(raised) >= 10
    assert raised <= listed


def test_the_page_lists_no_code_that_nobody_gives(source: str, listed: set[str]) -> None:
    known = set(_GIVEN.findall(source)) | {
        kind.code for kind in vars(errors).values() if hasattr(kind, "code")
    }

    assert listed <= known


def test_every_place_of_a_time_is_on_the_page(repository: Path) -> None:
    page = (repository / "docs" / "reading-dicom.md").read_text()

    for clock in CLOCKS:
        # Date and time of the same stem stand together; an index is named after its identifier.
        assert clock.name.replace("TemporalPositionIndex", "-Index") in page
