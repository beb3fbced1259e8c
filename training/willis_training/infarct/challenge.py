"""One prediction of an infarct, scored exactly as ISLES'24 scores it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from willis_training.metrics import ISLES24, lesion_wise, volume_ml

CEILING_DICE = 0.285
CEILING_OF = "ISLES'24, the winner on the challenge's hidden test patients"
"""What that is the mean Dice of; no simulated figure is comparable to it."""
FIGURES = ("dice", "volume_difference_ml", "f1", "count_difference")
"""In the order of the challenge. Higher is better for Dice and F1, lower for the others."""
SIZE_BINS = (
    ("none", 0.0, 0.0),
    ("under 5 mL", 0.0, 5.0),
    ("5 to 20 mL", 5.0, 20.0),
    ("20 to 70 mL", 20.0, 70.0),
    ("over 70 mL", 70.0, float("inf")),
)
"""Bins of the true volume, low end left out; 70 mL is the largest core of two treatment trials."""


@dataclass(frozen=True)
class ChallengeScore:
    """The challenge's four figures, with the volumes that they come from.

    ``f1`` lesion by lesion at IoU >= .20, 26-connected; Dice and F1 are 1 where both are empty.
    """

    dice: float
    volume_difference_ml: float
    f1: float
    count_difference: int
    truth_ml: float
    found_ml: float


def score(found: NDArray[Any], truth: NDArray[Any], spacing_mm: Sequence[float]) -> ChallengeScore:
    """Score a mask (z, y, x) against the true infarct, both on one grid of this voxel size."""
    figures = lesion_wise(found, truth, ISLES24, spacing_mm)
    return ChallengeScore(
        dice=figures.dice,
        volume_difference_ml=figures.volume_difference,
        f1=figures.f1,
        count_difference=figures.count_difference,
        truth_ml=volume_ml(np.asarray(truth) > 0, spacing_mm),
        found_ml=volume_ml(np.asarray(found) > 0, spacing_mm),
    )


def size_bin(truth_ml: float) -> str:
    """The bin of a true volume."""
    return next(name for name, low, high in SIZE_BINS if low < truth_ml <= high or truth_ml == high)
