"""Ensembles and averaged copies of the input against the single network: gain and cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from willis_training.analysis.calibration import Tally, judged
from willis_training.analysis.results import SavedCase
from willis_training.intervals import bootstrap_by_group
from willis_training.metrics import dice_by_class

SINGLE = "single network"


@dataclass(frozen=True)
class VariantScore:
    """One way to answer: its mean Dice, the gain over the single network, what it costs.

    ``low`` and ``high`` bound the mean gain over cases (95%, bootstrap, paired).
    """

    name: str
    cases: int
    dice: float
    gain: float
    low: float
    high: float
    expected_error: float
    seconds: float


def compare_variants(
    cases: Iterable[SavedCase], label_names: Mapping[int, str]
) -> tuple[VariantScore, ...]:
    """Score the single network and every variant that the cases hold, on the same cases."""
    values = [value for value in sorted(label_names) if value != 0]
    dice: dict[str, list[float]] = {}
    seconds: dict[str, list[float]] = {}
    tallies: dict[str, Tally] = {}
    for case in cases:
        inside, truth = judged(case), case.truth
        answers = {SINGLE: (case.labels, case.probabilities.max(axis=0), case.seconds)}
        answers |= {n: (v.labels, v.confidence, v.seconds) for n, v in case.variants.items()}
        for name, (labels, confidence, took) in answers.items():
            mean = float(np.nanmean(dice_by_class(labels, truth, values)))
            dice.setdefault(name, []).append(mean)
            seconds.setdefault(name, []).append(took)
            right = labels[inside] == truth[inside]
            tallies.setdefault(name, Tally.empty()).add(confidence[inside], right)
    return tuple(
        _score(name, dice, seconds[name], tallies[name])
        for name in dice
        if len(dice[name]) == len(dice[SINGLE])
    )


def _score(
    name: str, dice: Mapping[str, list[float]], seconds: list[float], tally: Tally
) -> VariantScore:
    gains = np.array(dice[name]) - np.array(dice[SINGLE])

    def mean(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.array(gains[rows].mean())

    low, high = bootstrap_by_group(np.arange(len(gains)).astype(np.str_), mean, 2000)
    return VariantScore(
        name=name,
        cases=len(gains),
        dice=float(np.mean(dice[name])),
        gain=float(gains.mean()),
        low=float(low),
        high=float(high),
        expected_error=tally.reliability().expected_error,
        seconds=float(np.mean(seconds)),
    )
