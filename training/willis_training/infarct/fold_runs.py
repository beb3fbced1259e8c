"""A network for each fold, judged on the heads that it never saw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from willis_training.datasets.splits import load_folds
from willis_training.fitting.fit import fit_from_file
from willis_training.fitting.listener import Lines
from willis_training.fitting.samples import CaseStore
from willis_training.infarct.answers import answers_of
from willis_training.infarct.bundle_calibration import THRESHOLDS
from willis_training.infarct.recipe import NetworkName, run_config
from willis_training.metrics import dice


@dataclass(frozen=True)
class FoldRow:
    """One fold: how many cases taught, chose and judged; the threshold that the choosing cases
    prefer; mean and median Dice of the judged ones."""

    fold: str
    train: int
    validation: int
    test: int
    threshold: float
    mean_dice: float
    median_dice: float


def run_folds(
    folds: Path,
    store: Path,
    runs: Path,
    iterations: int,
    report: Callable[[str], None],
    network: NetworkName = "baseline",
) -> list[FoldRow]:
    """Train and judge every fold; finished runs are not repeated."""
    rows = []
    for fold in load_folds(folds):
        config = run_config(
            f"{network}_{fold.name}",
            fold.train,
            fold.validation[:: max(len(fold.validation) // 16, 1)],
            store=store,
            runs=runs,
            network=network,
            iterations=iterations,
        )
        fit_from_file(config, Lines(report))
        opened = CaseStore(store)
        chooses = _dices(config.folder, opened, config.data.validation)
        best = int(np.argmax(chooses.mean(axis=0)))
        judged = _dices(config.folder, opened, fold.test)[:, best]
        sizes = len(fold.train), len(fold.validation), len(fold.test)
        middle = float(judged.mean()), float(np.median(judged))
        rows.append(FoldRow(fold.name, *sizes, THRESHOLDS[best], *middle))
        report(f"{rows[-1]}")
    return rows


def _dices(run: Path, store: CaseStore, names: Sequence[str]) -> np.ndarray:
    """Dice (cases, thresholds)."""
    rows = [
        [dice(answer.probability > threshold, answer.truth) for threshold in THRESHOLDS]
        for answer in answers_of(run, store, names)
    ]
    return np.array(rows)


def fold_table(rows: Sequence[FoldRow]) -> str:
    """The rows as Markdown, with the mean of all folds."""
    lines = [
        "| fold | teach / choose / judge | threshold | mean Dice | median Dice |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.fold} | {row.train} / {row.validation} / {row.test} | {row.threshold:g} | "
        f"{row.mean_dice:.3f} | {row.median_dice:.3f} |"
        for row in rows
    ]
    mean = sum(row.mean_dice * row.test for row in rows) / max(sum(row.test for row in rows), 1)
    return "\n".join([*lines, f"| all | | | {mean:.3f} | |"])
