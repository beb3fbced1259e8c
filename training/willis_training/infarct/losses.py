"""Which loss: the same small network for the same steps, and what each of them learns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from willis_training.fitting.fit import fit_from_file
from willis_training.fitting.listener import Lines
from willis_training.fitting.samples import CaseStore
from willis_training.infarct.answers import answers_of
from willis_training.infarct.recipe import LOSSES, run_config
from willis_training.metrics import dice

_HALF = 0.5


@dataclass(frozen=True)
class LossRow:
    """What a network of one loss says of the cases that choose, at a probability of one half.

    ``empty`` counts the cases in which it finds nothing; ``volume_share`` is the volume it finds
    over the true one, all cases together.
    """

    loss: str
    steps: int
    mean_dice: float
    empty: int
    cases: int
    volume_share: float


def compare_losses(
    train: Sequence[str],
    validation: Sequence[str],
    store: Path,
    runs: Path,
    iterations: int,
    report: Callable[[str], None],
) -> list[LossRow]:
    """Train the baseline network with every loss; finished runs are not repeated."""
    rows = []
    for loss in LOSSES:
        name = "loss_" + "_".join(part for part in loss.lower().split() if part.isalpha())
        config = run_config(
            name,
            tuple(train),
            tuple(validation),
            store=store,
            runs=runs,
            network="baseline",
            loss=loss,
            iterations=iterations,
            validate_every=max(iterations // 2, 1),
        )
        fit_from_file(config, Lines(report))
        rows.append(judged(loss, config.folder, iterations, CaseStore(store), validation))
        report(f"{loss}: {rows[-1]}")
    return rows


def judged(
    loss: str, run: Path, iterations: int, store: CaseStore, cases: Sequence[str]
) -> LossRow:
    """One trained network on some cases."""
    dices, empty, found, true = [], 0, 0, 0
    for answer in answers_of(run, store, cases):
        mask = answer.probability > _HALF
        dices.append(dice(mask, answer.truth))
        empty += not mask.any()
        found, true = found + int(mask.sum()), true + int(answer.truth.sum())
    return LossRow(loss, iterations, float(np.mean(dices)), empty, len(cases), found / max(true, 1))


def loss_table(rows: Sequence[LossRow]) -> str:
    """The rows as Markdown."""
    lines = [
        "| loss | steps | mean Dice | cases without any infarct found | volume found / true |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.loss} | {row.steps} | {row.mean_dice:.3f} | {row.empty} of {row.cases} | "
        f"{row.volume_share:.2f} |"
        for row in rows
    ]
    return "\n".join(lines)
