from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.unit.training.scores.toy_table import toy_table
from willis_models.findings import INTENDED_USE_STATEMENT
from willis_training.cli import app
from willis_training.scores.nested import NestedPlan
from willis_training.scores.page import render_page
from willis_training.scores.study import Comparison, compare_candidates

PLAN = NestedPlan(outer_folds=2, inner_folds=2)
PAIRS = [("logistic", "hu"), ("logistic", "hu_shape_texture")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scores")


@pytest.fixture(scope="module")
def comparison(folder: Path) -> Comparison:
    return compare_candidates(toy_table(heads=4), PAIRS, PLAN, folder, lambda _pair: None)


def test_a_signal_in_one_feature_is_worth_more_than_forty_noises(comparison: Comparison) -> None:
    estimate, _, _ = comparison.gains["logistic", "hu_shape_texture", "hu"]
    assert comparison.figures["logistic", "hu"]["auc"][0] > 0.95
    assert estimate <= 0.0


def test_a_finished_candidate_is_read_and_not_done_again(
    comparison: Comparison, folder: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    again = compare_candidates(toy_table(heads=4), PAIRS, PLAN, folder, lambda _pair: None)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert again.figures == comparison.figures


def test_other_data_are_another_question(comparison: Comparison, folder: Path) -> None:
    count = len(list(folder.iterdir()))
    other = toy_table(heads=4, seed=5)
    compare_candidates(other, PAIRS[:1], PLAN, folder, lambda _pair: None)
    assert len(list(folder.iterdir())) == count + 1


def test_the_page_has_every_candidate_the_rule_and_the_statement(comparison: Comparison) -> None:
    page = render_page(comparison)
    assert INTENDED_USE_STATEMENT in page
    assert "Performance on patients: not measured." in page
    assert "| logistic regression | HU + shape + texture | " in page
    assert "| deterministic rule | HU | " in page
    assert "| M6 | " in page
    assert "inverse penalty" in page


def test_an_unknown_classifier_is_named_with_those_that_exist() -> None:
    result = CliRunner().invoke(app, ["scores", "--classifiers", "oracle"])
    assert result.exit_code == 2
    assert "oracle is not known" in result.output
    assert "forest" in result.output


def test_a_cache_without_studies_says_how_to_make_them(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["scores", "--cache", str(tmp_path)])
    assert result.exit_code == 2
    assert "willis-train aspects simulate" in " ".join(result.output.replace("│", " ").split())
