"""One table holds every number, and the page shows this table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from willis_training.simulation.ctp.parameters import PARAMETERS, draw, markdown_table, value


def test_every_parameter_has_a_unit_a_range_and_a_source() -> None:
    for one in PARAMETERS.values():
        assert one.meaning and one.unit and one.low <= one.high
        assert one.source.startswith(("[L]", "[M]", "[A]"))


def test_a_draw_lies_in_its_range() -> None:
    rng = np.random.default_rng(0)
    draws = [draw("noise_hu", rng) for _ in range(100)]

    assert min(draws) >= PARAMETERS["noise_hu"].low
    assert max(draws) <= PARAMETERS["noise_hu"].high
    assert len(set(draws)) == 100


def test_a_range_is_no_single_value() -> None:
    with pytest.raises(ValueError, match="range"):
        value("noise_hu")


def test_severity_lowers_flow_and_volume_and_lengthens_delay() -> None:
    for tissue in ("grey", "white"):
        for name, falls in (("cbf", True), ("cbv", True), ("delay", False)):
            values = [value(f"{tissue}_{name}_{s}") for s in ("normal", "reduced", "severe")]
            assert values == sorted(values, reverse=falls)


def test_the_page_shows_the_table_as_it_is(repository: Path) -> None:
    page = (repository / "docs" / "simulation-ctp.md").read_text()

    assert markdown_table() in page
