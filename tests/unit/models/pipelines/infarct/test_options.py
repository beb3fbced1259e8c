"""Options of the pipeline: two points, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from willis_models.errors import BadOption
from willis_models.pipelines.aspects.pipeline import ASPECTS
from willis_models.pipelines.infarct.options import options_of


def test_a_point_is_kept_as_three_numbers() -> None:
    assert options_of({"aif_lps": [1, "2.5", -3]}) == {"aif_lps": [1.0, 2.5, -3.0]}
    assert options_of({}) == {}


@pytest.mark.parametrize(
    "options",
    [{"aif": [1, 2, 3]}, {"aif_lps": [1, 2]}, {"vof_lps": "here"}, {"aif_lps": [1, 2, "nan"]}],
)
def test_what_is_no_point_of_a_known_vessel_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(BadOption, match="aif_lps"):
        options_of(options)


def test_a_pipeline_without_options_refuses_any() -> None:
    with pytest.raises(BadOption, match="no options"):
        ASPECTS.options_of({"aif_lps": [1, 2, 3]})
