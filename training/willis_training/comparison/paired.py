"""Two architectures on the same cases: difference, interval, test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wilcoxon

from willis_training.intervals import bootstrap_by_group

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PairedTest:
    """``first`` minus ``second`` over the cases that both judged.

    ``low`` and ``high`` bound the mean difference (95%, bootstrap over persons); ``p`` is
    Wilcoxon's signed-rank test over cases, two-sided; ``p_holm`` the same after Holm's correction.
    """

    first: str
    second: str
    difference: float
    low: float
    high: float
    p: float
    p_holm: float


def compare_all(
    dice: Mapping[str, Floats], persons: NDArray[np.str_], draws: int = 2000
) -> tuple[PairedTest, ...]:
    """Every pair of architectures; ``dice`` (cases,) of each in one order, ``persons`` of those."""
    pairs = list(combinations(dice, 2))
    differences = [dice[a] - dice[b] for a, b in pairs]
    raw = [signed_rank_p(difference) for difference in differences]
    corrected = holm(raw)
    found = []
    for (a, b), difference, p, p_holm in zip(pairs, differences, raw, corrected, strict=True):
        low, high = _interval(difference, persons, draws)
        found.append(PairedTest(a, b, float(difference.mean()), low, high, p, p_holm))
    return tuple(found)


def signed_rank_p(difference: Floats) -> float:
    """Wilcoxon's signed-rank test, two-sided; 1 where no case differs."""
    moved = difference[difference != 0]
    return float(wilcoxon(moved).pvalue) if moved.size else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979), in the order given."""
    order = np.argsort(p_values, kind="stable")
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = largest
    return corrected


def _interval(difference: Floats, persons: NDArray[np.str_], draws: int) -> tuple[float, float]:
    def mean(drawn: NDArray[np.int64]) -> Floats:
        return np.array(difference[drawn].mean())

    low, high = bootstrap_by_group(persons, mean, draws)
    return float(low), float(high)
