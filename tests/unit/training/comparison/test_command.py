from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tests.unit.training.comparison.toy_comparison import CASES, toy_plan
from willis_models.findings import INTENDED_USE_STATEMENT
from willis_training.cli import app
from willis_training.comparison import run
from willis_training.comparison.plan import ComparisonPlan, read_plan
from willis_training.comparison.run import OUTCOME, key_of, read_outcome
from willis_training.datasets.splits import Fold
from willis_training.networks.build import KINDS

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison of two networks that ran to its end.

    Trained in this process: to start one for each run takes longer than all the rest, and that
    functions run in one is tested with the costs. Latencies are taken in theirs.
    """
    folder = tmp_path_factory.mktemp("comparison")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "in_child", lambda work, *arguments: work(*arguments))
        result = CliRunner().invoke(app, ["compare", str(toy_plan(folder))])
    assert result.exit_code == 0, result.output
    return folder


def test_the_page_compares_both_networks(finished: Path) -> None:
    page = (finished / "comparison.md").read_text()
    assert INTENDED_USE_STATEMENT in page
    assert "Performance on patients: not measured." in page
    assert "| small | " in page
    assert "| other | " in page
    assert "comparison.png" in page
    assert (finished / "comparison.png").stat().st_size > 1000


def test_each_run_is_judged_exported_and_timed(finished: Path) -> None:
    for name in ("small", "other"):
        outcome = read_outcome(finished / "runs" / name / "only" / OUTCOME)
        assert set(outcome.dice) == set(CASES[6:])
        assert outcome.parity["lowest_dice"] >= 0.999
        assert outcome.steps == 3
        assert outcome.latencies[0].provider == "CPUExecutionProvider"
        assert 0.0 < outcome.latencies[0].seconds < 5.0
        assert 20.0 < outcome.latencies[0].peak_mb < outcome.training_peak_mb


def written(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (folder / "runs").rglob("*")}


def test_a_finished_run_is_not_done_again(finished: Path) -> None:
    before = written(finished)
    page = finished / "again.md"
    result = CliRunner().invoke(app, ["compare", str(finished / "plan.yaml"), "--page", str(page)])
    assert result.exit_code == 0, result.output
    assert written(finished) == before
    assert (
        page.read_text().replace("again.png", "comparison.png")
        == (finished / "comparison.md").read_text()
    )


def test_other_data_make_another_run(finished: Path) -> None:
    """The key of a run follows the content of its cases."""
    plan = read_plan(finished / "plan.yaml")
    (fold,) = plan.read_folds()
    config = plan.run_config("small", fold)
    before = key_of(plan, config, fold)
    index = finished / "store" / "index.json"
    content = index.read_text()
    stored = json.loads(content)
    stored["cases"][CASES[0]]["content_sha256"] = "0" * 64
    index.write_text(json.dumps(stored))
    try:
        assert key_of(plan, config, fold) != before
    finally:
        index.write_text(content)


def test_the_full_size_plan_names_every_network_in_a_size_that_fits() -> None:
    result = CliRunner().invoke(app, ["compare-example", "--full-size"])
    plan = ComparisonPlan.model_validate(yaml.safe_load(result.output))
    fold = Fold("any", ("a",), ("b",), ("c",))
    kinds = {plan.run_config(name, fold).network.kind for name in plan.architectures}
    assert kinds == set(KINDS)


def test_a_missing_plan_says_how_to_get_one(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["compare", str(tmp_path / "plan.yaml")])
    assert result.exit_code == 2
    assert "compare-example" in result.output
