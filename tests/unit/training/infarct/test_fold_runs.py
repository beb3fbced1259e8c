"""Each fold's network is judged on the heads that it never saw."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tests.unit.training.infarct.small_run import HELD, TRAIN, small_config, small_store
from willis_training.datasets.splits import Fold, save_folds
from willis_training.fitting.config import RunConfig
from willis_training.infarct import fold_runs
from willis_training.infarct.fold_runs import FoldRow, fold_table, run_folds


def tiny(folder: Path, name: str, train: object, validation: object, **_kept: object) -> RunConfig:
    """The recipe's run with a network of two levels."""
    made = small_config(folder)
    data = made.data.model_copy(update={"train": train, "validation": validation})
    return made.model_copy(update={"data": data, "folder": folder / "runs" / name, "name": name})


def test_every_fold_is_trained_and_judged_on_its_own_test_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = small_store(tmp_path)
    folds = (
        Fold("fold_0", TRAIN, HELD[:1], HELD[2:4]),
        Fold("fold_1", HELD[:3], TRAIN[:1], TRAIN[1:]),
    )
    save_folds(folds, tmp_path / "folds.json", {})
    monkeypatch.setattr(fold_runs, "run_config", partial(tiny, tmp_path))
    lines: list[str] = []

    rows = run_folds(tmp_path / "folds.json", store.folder, tmp_path / "runs", 2, lines.append)

    assert [(row.fold, row.train, row.test) for row in rows] == [("fold_0", 3, 2), ("fold_1", 3, 2)]
    assert all(0.0 <= row.mean_dice <= 1.0 for row in rows)
    assert any("fold_1" in line for line in lines)


def test_the_mean_of_all_folds_counts_every_case_once() -> None:
    rows = [
        FoldRow("fold_0", 10, 5, 30, 0.5, 0.4, 0.4),
        FoldRow("fold_1", 10, 5, 10, 0.4, 0.8, 0.8),
    ]

    assert fold_table(rows).splitlines()[-1] == "| all | | | 0.500 | |"
