from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.unit.training.analysis.made_up_results import case, write_folder
from willis_models.findings import INTENDED_USE_STATEMENT
from willis_training.analysis.analyse import Analysis, analyse_results
from willis_training.analysis.results import About, save_about, save_case
from willis_training.analysis.variants import SINGLE
from willis_training.analysis.write import analysis_document, draw_all
from willis_training.cli import app


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def analysis(results: Path) -> Analysis:
    return analyse_results(results)


def test_the_worst_test_case_comes_first(analysis: Analysis) -> None:
    assert analysis.tested[0].case_id == "test_09"
    assert len(analysis.tested) == 10


def test_the_noise_that_was_put_in_explains_the_error(analysis: Analysis) -> None:
    noise = next(trend for trend in analysis.trends if trend.fact == "noise_hu")
    assert noise.rho < -0.9 and noise.high < 0


def test_the_temperature_learns_from_validation_cases_only(analysis: Analysis) -> None:
    found = analysis.calibration
    assert found is not None
    assert (found.validation_cases, found.test_cases) == (3, 10)


def test_the_ensemble_gains_and_its_cost_is_told(analysis: Analysis) -> None:
    single, ensemble = analysis.variants
    assert (single.name, single.gain, single.seconds) == (SINGLE, 0.0, 0.5)
    assert ensemble.gain > 0.01 and ensemble.low > 0 and ensemble.seconds == 2.0
    assert ensemble.dice == pytest.approx(single.dice + ensemble.gain)


def test_the_odd_case_is_flagged_and_test_cases_are_not(analysis: Analysis) -> None:
    assert analysis.outliers is not None
    assert analysis.outliers.flagged_share("too bright", "odd") == (1, 1)
    assert analysis.outliers.flagged_share(None, "test")[0] <= 1


def test_the_document_is_json_without_infinities(analysis: Analysis) -> None:
    text = json.dumps(analysis_document(analysis), allow_nan=False)
    assert json.loads(text)["intended_use"] == INTENDED_USE_STATEMENT


def test_a_folder_with_nothing_to_learn_calibration_from_still_gets_its_errors(
    tmp_path: Path,
) -> None:
    save_about(tmp_path, About(model="bare", label_names={0: "background", 1: "core", 2: "rim"}))
    save_case(tmp_path, case(1))
    found = analyse_results(tmp_path)
    assert found.calibration is None and found.outliers is None and found.trends == ()
    assert set(draw_all(found, tmp_path, worst=1)) == {"variants", "case_test_01"}


def test_the_command_writes_a_page_that_needs_no_other_file(results: Path, tmp_path: Path) -> None:
    arguments = ["analyse", str(results), "--out", str(tmp_path), "--worst", "2"]
    outcome = CliRunner().invoke(app, arguments)
    assert outcome.exit_code == 0, outcome.output
    page = (tmp_path / "analysis.html").read_text()
    assert INTENDED_USE_STATEMENT in page and "Performance on patients: not measured." in page
    assert page.count("data:image/png;base64,") == 6
    assert not re.search(r'(src|href)="(?!data:)', page)
    document = json.loads((tmp_path / "analysis.json").read_text())
    assert len(document["scores"]) == 14
    assert sorted(p.stem for p in (tmp_path / "pictures").iterdir()) == [
        "calibration",
        "case_test_08",
        "case_test_09",
        "outliers",
        "trends",
        "variants",
    ]


def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    outcome = CliRunner().invoke(app, ["analyse", str(tmp_path)])
    assert outcome.exit_code == 2
    assert "about.json is missing" in " ".join(outcome.output.replace("│", " ").split())
