"""``willis-train prepare`` and ``fit``: from a data set on disk to weights, by command alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tests.unit.training.datasets.published_trees import atlas_v2
from tests.unit.training.fitting.toy_store import TRAIN, VALIDATION, toy_run, toy_store
from willis_training.cli import app
from willis_training.fitting.config import RunConfig
from willis_training.fitting.samples import CaseStore

RUNNER = CliRunner()


def written(folder: Path) -> Path:
    """The file of a tiny run on a tiny store."""
    toy_store(folder / "store")
    data = {"store": folder / "store", "train": TRAIN, "validation": VALIDATION}
    config = toy_run(folder / "run", iterations=2, validate_every=2, data=data)
    (folder / "run.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))
    return folder / "run.yaml"


def test_the_printed_example_is_a_run_file() -> None:
    done = RUNNER.invoke(app, ["fit", "--example"])

    assert done.exit_code == 0
    assert RunConfig.model_validate(yaml.safe_load(done.stdout)).network.kind == "unet_se"


def test_fit_trains_as_the_file_says_but_for_what_is_set(tmp_path: Path) -> None:
    run = written(tmp_path)

    done = RUNNER.invoke(app, ["fit", str(run), "--set", "iterations=1", "--set", "seed=3"])

    assert done.exit_code == 0, done.output
    assert "after 1 steps" in done.stdout
    stored = yaml.safe_load((tmp_path / "run" / "run.yaml").read_text())
    assert (stored["iterations"], stored["seed"]) == (1, 3)
    assert (tmp_path / "run" / "best.pt").exists()


def test_what_is_wrong_is_said_without_a_traceback(tmp_path: Path) -> None:
    run = written(tmp_path)
    RUNNER.invoke(app, ["fit", str(run), "--set", "iterations=1"])

    cases = {
        ("fit", str(run), "--set", "iteration=1"): "iteration",
        ("fit", str(run)): "differs in: iterations",
        ("fit", str(tmp_path / "none.yaml")): "--example",
        ("fit", str(run), "--set", f"data.store={tmp_path}"): "no store of prepared cases",
    }

    for arguments, reason in cases.items():
        done = RUNNER.invoke(app, arguments, env={"COLUMNS": "300"})
        assert done.exit_code == 2
        assert reason in done.output
        assert "Traceback" not in done.output


def test_prepare_fills_a_store_from_a_data_set(tmp_path: Path) -> None:
    root, store = atlas_v2(tmp_path, sites=2, subjects=2), tmp_path / "store"
    arguments = ["prepare", "atlas-v2", str(root), str(store)]

    done = RUNNER.invoke(app, [*arguments, "--role", "t1w", "--spacing-mm", "2"])

    assert done.exit_code == 0, done.output
    assert "5 cases prepared, 0 set aside" in done.stdout
    stored = CaseStore(store)
    assert stored.label_names[1] == "lesion"
    assert all(entry.labelled_voxels for entry in stored.index.cases.values())
    assert stored.index.preparation["spacing_mm"] == 2.0


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ([], "--role is missing"),
        (["--role", "t1w", "--spacing-mm", "0"], "--spacing-mm must be above 0"),
        (["--role", "t1w", "--window", "80"], "--window"),
    ],
)
def test_prepare_says_what_is_missing(tmp_path: Path, options: list[str], reason: str) -> None:
    arguments = ["prepare", "atlas-v2", str(atlas_v2(tmp_path, 1, 1)), str(tmp_path / "store")]

    done = RUNNER.invoke(app, [*arguments, *options], env={"COLUMNS": "300"})

    assert done.exit_code == 2
    assert reason in done.output
