"""The infarct networks, compared by the command that compares any networks."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tests.unit.training.infarct.small_run import HELD, TRAIN
from tests.unit.training.infarct.small_store import SHAPE, write_store
from willis_training.cli import app
from willis_training.comparison import run
from willis_training.comparison.plan import ComparisonPlan, read_plan
from willis_training.comparison.run import OUTCOME, read_outcome
from willis_training.datasets.splits import Fold, save_folds
from willis_training.infarct.recipe import run_config

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")
FOLDS = (
    Fold("fold_0", TRAIN, HELD[:2], HELD[2:6]),
    Fold("fold_1", HELD[:3], TRAIN[:1], TRAIN[1:]),
)


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plan that the command wrote for a store of tiny cases."""
    folder = tmp_path_factory.mktemp("infarct")
    write_store(folder / "store", TRAIN + HELD)
    save_folds(FOLDS, folder / "store" / "folds.json", {})
    arguments = ["infarct", "comparison", "--store", str(folder / "store")]
    arguments += ["--folder", str(folder / "compared"), "--iterations", "2", "--fold", "0"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "next: willis-train compare" in " ".join(result.output.split())
    return folder / "compared" / "plan.yaml"


def test_every_network_is_trained_by_the_recipe(planned: Path) -> None:
    plan = read_plan(planned)
    recipe = run_config("x", TRAIN, HELD[:2], network="better", iterations=2)

    made = plan.run_config("unet_se", FOLDS[0])

    differing = {"folder", "name", "data", "tracking"}
    assert made.model_dump(exclude=differing) == recipe.model_dump(exclude=differing)
    assert made.data.margin == recipe.data.margin == 0.0
    assert plan.run_config("monai_unet", FOLDS[0]).augmentation == recipe.augmentation
    assert plan.person_of("head_07_0012") == "head_07"


def test_the_comparison_judges_both_on_heads_they_never_saw(
    planned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = yaml.safe_load(planned.read_text())
    plan["network"]["patch"] = list(SHAPE)
    plan["latency_repeats"] = 3
    for sizes in plan["architectures"].values():
        sizes["widths"] = [4, 8]
    planned.write_text(yaml.safe_dump(plan))
    # A process for each run is the business of the comparison's own tests.
    monkeypatch.setattr(run, "in_child", lambda work, *arguments: work(*arguments))

    result = CliRunner().invoke(app, ["compare", str(planned)])

    assert result.exit_code == 0, result.output
    for name in plan["architectures"]:
        outcome = read_outcome(planned.parent / "runs" / name / "fold_0" / OUTCOME)
        assert set(outcome.dice) == set(FOLDS[0].test)
        assert all(set(row) == {"final infarct"} for row in outcome.dice.values())
    page = (planned.parent / "comparison.md").read_text()
    assert "4 test cases in 1 fold (fold_0; the others were not run)" in page
    assert "| monai_unet | unet_se |" in page or "| unet_se | monai_unet |" in page


def test_only_the_folds_asked_for_are_run(planned: Path) -> None:
    plan = ComparisonPlan.model_validate(yaml.safe_load(planned.read_text()))

    assert [fold.name for fold in plan.read_folds()] == ["fold_0"]
