"""Dice of every class over the cases that choose, shared between processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch.distributed
from lightning.fabric import Fabric
from numpy.typing import NDArray
from torch import nn

from willis_training.fitting.lesson import Lesson, ValidationCase
from willis_training.metrics import dice_by_class


class Judged(NamedTuple):
    """A case with the labels (z, y, x) that the network found."""

    case: ValidationCase
    found: NDArray[np.uint8]


@dataclass(frozen=True)
class Verdict:
    """Mean Dice by class name (None where no case holds the class), and their mean.

    ``examples`` are the first cases that this process judged.
    """

    dice: dict[str, float | None]
    mean_dice: float
    examples: tuple[Judged, ...]


def validate(network: nn.Module, lesson: Lesson, fabric: Fabric, examples: int = 0) -> Verdict:
    """Judge a network in one piece on all cases; every process does its share."""
    labels = [value for value in sorted(lesson.label_names) if value]
    rows: list[list[float]] = []
    kept: list[Judged] = []
    for case in lesson.validation(slice(fabric.global_rank, None, fabric.world_size)):
        found = lesson.probabilities(network, case.image).argmax(axis=0).astype(np.uint8)
        rows.append(dice_by_class(found, case.labels, labels).tolist())
        if len(kept) < examples:
            kept.append(Judged(case, found))
    table = np.array(_from_all(rows, fabric.world_size), dtype=np.float64).reshape(-1, len(labels))
    means = [_mean(table[:, n]) for n in range(len(labels))]
    names = [lesson.label_names[value] for value in labels]
    known = [mean for mean in means if mean is not None]
    mean_dice = float(np.mean(known)) if known else 0.0
    return Verdict(dict(zip(names, means, strict=True)), mean_dice, tuple(kept))


def _from_all(rows: list[list[float]], processes: int) -> list[list[float]]:
    """The rows of all processes in the order of the cases, whoever judged them."""
    if processes == 1:
        return rows
    shares: list[list[list[float]]] = [[] for _ in range(processes)]
    torch.distributed.all_gather_object(shares, rows)
    return [share[n] for n in range(max(map(len, shares))) for share in shares if n < len(share)]


def _mean(column: NDArray[np.float64]) -> float | None:
    held = column[~np.isnan(column)]
    return float(held.mean()) if held.size else None
