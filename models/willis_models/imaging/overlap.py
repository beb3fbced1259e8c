"""How far two label maps on the same grid agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Overlap:
    """One label in two maps: Dice, and the change of its volume as a share of the larger one."""

    dice: float
    volume_change: float


def overlap_by_label(first: NDArray[np.integer], second: NDArray[np.integer]) -> dict[int, Overlap]:
    """The overlap of each label but 0 that either map holds. Both are (z, y, x)."""
    if first.shape != second.shape:
        raise ValueError(f"Label maps of different shapes: {first.shape} and {second.shape}.")
    size = int(max(first.max(initial=0), second.max(initial=0))) + 1
    a, b = np.bincount(first.ravel(), minlength=size), np.bincount(second.ravel(), minlength=size)
    both = np.bincount(first.ravel()[(first == second).ravel()], minlength=size)
    present = np.flatnonzero((a + b)[1:]) + 1
    return {
        int(n): Overlap(
            dice=float(2 * both[n] / (a[n] + b[n])),
            volume_change=float(abs(int(a[n]) - int(b[n])) / max(a[n], b[n])),
        )
        for n in present
    }
