from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.unit.training.analysis.made_up_results import case, write_folder
from willis_training.analysis.results import (
    case_path,
    case_paths,
    load_about,
    load_case,
    load_cases,
    load_training_features,
    save_case,
)


def test_a_case_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    saved = case(3)
    save_case(tmp_path, saved)
    found = load_case(case_path(tmp_path, "test_03"))
    assert (found.case_id, found.part, found.spacing_mm) == ("test_03", "test", (3.0, 1.0, 1.0))
    assert found.facts == saved.facts and found.seconds == saved.seconds
    np.testing.assert_array_equal(found.labels, saved.labels)
    np.testing.assert_allclose(found.probabilities, saved.probabilities, atol=1e-3)
    variant = found.variants["ensemble of 4"]
    np.testing.assert_array_equal(variant.labels, saved.variants["ensemble of 4"].labels)
    assert variant.seconds == 2.0


def test_cases_are_found_by_part_and_nothing_else_is_taken_for_one(tmp_path: Path) -> None:
    write_folder(tmp_path, tested=2)
    assert [c.case_id for c in load_cases(tmp_path, "test")] == ["test_00", "test_01"]
    assert len(case_paths(tmp_path)) == 6
    training = load_training_features(tmp_path)
    assert training is not None and len(training.values) == 60


def test_a_folder_without_results_says_how_to_make_some(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="aspects results"):
        load_about(tmp_path)
    assert load_training_features(tmp_path) is None
