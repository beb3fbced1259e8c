"""Places that are asked for are looked up in the headers before anything is ordered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.infarct_like import INFARCT_LIKE
from willis_models.errors import BadOption
from willis_service.application.ordered import check_places
from willis_service.domain.extent import Extent

PIPELINE = replace(INFARCT_LIKE, places={"aif_lps": "ctp"})
SCAN = {"ctp": [Path("scan.dcm")], "ncct": [Path("head.dcm")]}
MAPS = {"tmax": [Path("tmax.dcm")], "cbf": [Path("cbf.dcm")]}


def around_the_scan(files: Sequence[Path]) -> Extent:
    assert list(files) == SCAN["ctp"]
    return Extent((-100.0, -120.0, 0.0), (100.0, 120.0, 80.0))


def unknown(_files: Sequence[Path]) -> None:
    return None


def not_asked(_files: Sequence[Path]) -> Extent:
    raise AssertionError("No place was asked for.")


def test_a_place_within_the_scan_is_taken() -> None:
    check_places(PIPELINE, {"aif_lps": [10, -20, 35]}, SCAN, around_the_scan)


def test_a_place_outside_is_refused_and_the_scan_described() -> None:
    with pytest.raises(BadOption) as refused:
        check_places(PIPELINE, {"aif_lps": [10, -20, 350.5]}, SCAN, around_the_scan)

    assert "place 10, -20, 350.5 lies outside the CT perfusion" in refused.value.message
    assert "x -100 to 100, y -120 to 120, z 0 to 80 mm" in refused.value.message


def test_a_place_is_refused_where_its_series_is_not_used() -> None:
    with pytest.raises(BadOption, match="leave the option out"):
        check_places(PIPELINE, {"aif_lps": [10, -20, 35]}, MAPS, around_the_scan)


def test_a_series_that_says_no_place_is_left_to_the_analysis() -> None:
    check_places(PIPELINE, {"aif_lps": [900, 0, 0]}, SCAN, unknown)


def test_without_a_place_no_header_is_read() -> None:
    check_places(PIPELINE, {}, SCAN, not_asked)
