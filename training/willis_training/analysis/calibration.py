"""Whether a model is right as often as it says: reliability, its error, one temperature.

Judged on the voxels that the model gives at least 1% of being foreground: with all background in,
every model looks calibrated. The choice must not look at the truth: among voxels that the truth or
the answer calls foreground, even an honest model looks too sure, because of the background only its
errors are there. Guo et al., On calibration of modern neural networks, ICML 2017.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from willis_training.analysis.results import SavedCase

BINS = 15
LEAST_FOREGROUND = 0.01
VOXELS_A_CASE = 20000
"""How many voxels of a case the temperature is fitted on; they are drawn, with a fixed seed."""
_LEAST = 1e-7
_LOG_TEMPERATURE = (-2.0, 2.0)


@dataclass(frozen=True)
class Reliability:
    """For each bin of confidence: how many voxels, their mean confidence, the share that is right.

    ``expected_error`` (ECE) is the mean of |confidence - right| over voxels.
    """

    counts: tuple[int, ...]
    confidence: tuple[float, ...]
    right: tuple[float, ...]
    expected_error: float


@dataclass(frozen=True)
class Calibration:
    """The reliability on the test cases as it is and after one temperature from validation.

    ``unseen_share``: how much of the true foreground the model gave less than 1%, so that it is not
    among the voxels judged.
    """

    temperature: float
    validation_cases: int
    test_cases: int
    unseen_share: float
    before: Reliability
    after: Reliability


@dataclass
class Tally:
    """Counts in bins of confidence, added up case by case."""

    counts: NDArray[np.float64]
    confidence: NDArray[np.float64]
    right: NDArray[np.float64]

    @staticmethod
    def empty() -> Tally:
        """Nothing counted yet."""
        return Tally(np.zeros(BINS), np.zeros(BINS), np.zeros(BINS))

    def add(self, confidence: NDArray[Any], right: NDArray[np.bool_]) -> None:
        """Count voxels: confidence (n,) of the chosen label, and whether it was the true one."""
        place = np.minimum((confidence * BINS).astype(int), BINS - 1)
        self.counts += np.bincount(place, minlength=BINS)
        self.confidence += np.bincount(place, weights=confidence, minlength=BINS)
        self.right += np.bincount(place, weights=right, minlength=BINS)

    def reliability(self) -> Reliability:
        """The curve of everything counted."""
        filled = np.maximum(self.counts, 1)
        gap = np.abs(self.confidence - self.right)
        return Reliability(
            counts=tuple(int(n) for n in self.counts),
            confidence=tuple(float(c) for c in self.confidence / filled),
            right=tuple(float(r) for r in self.right / filled),
            expected_error=float(gap.sum() / max(self.counts.sum(), 1)),
        )


def judged(case: SavedCase) -> NDArray[np.bool_]:
    """The voxels to judge (z, y, x): those that may be foreground, says the model."""
    return np.asarray(1.0 - case.probabilities[0] >= LEAST_FOREGROUND)


def tempered(probabilities: NDArray[Any], temperature: float) -> NDArray[np.float64]:
    """Probabilities (classes, ...) as if the logits had been divided by the temperature."""
    logs = np.log(np.maximum(probabilities, _LEAST)) / temperature
    powers = np.exp(logs - logs.max(axis=0))
    return np.asarray(powers / powers.sum(axis=0))


def fit_temperature(probabilities: NDArray[Any], truth: NDArray[Any]) -> float:
    """The temperature under which the truth (n,) is most likely; probabilities (classes, n)."""
    logs = np.log(np.maximum(probabilities, _LEAST)).astype(np.float64)

    def surprise(log_temperature: float) -> float:
        scaled = logs / np.exp(log_temperature)
        total = np.logaddexp.reduce(scaled, axis=0)
        return float((total - np.take_along_axis(scaled, truth[None].astype(int), axis=0)).mean())

    found = minimize_scalar(surprise, bounds=_LOG_TEMPERATURE, method="bounded")
    return float(np.exp(found.x))


def validation_temperature(cases: Iterable[SavedCase]) -> tuple[float, int]:
    """One temperature from the validation cases, and how many there were. Raises ValueError
    without any: a temperature must never be fitted on the cases that it is judged on.
    """
    rng = np.random.default_rng(0)
    probabilities, truths = [], []
    for case in cases:
        where = np.flatnonzero(judged(case))
        drawn = rng.choice(where, min(len(where), VOXELS_A_CASE), replace=False)
        probabilities.append(case.probabilities.reshape(len(case.probabilities), -1)[:, drawn])
        truths.append(case.truth.ravel()[drawn])
    if not truths:
        raise ValueError(
            "No case of part `validation`: the temperature can't be fitted. Add some, or leave "
            "calibration out."
        )
    fitted = fit_temperature(np.concatenate(probabilities, axis=1), np.concatenate(truths))
    return fitted, len(truths)


def calibrate(temperature: float, validation_cases: int, cases: Iterable[SavedCase]) -> Calibration:
    """Judge confidence on the test cases, before and after the temperature."""
    before, after, count = Tally.empty(), Tally.empty(), 0
    unseen = wanted = 0
    for case in cases:
        inside = judged(case)
        probabilities, truth = case.probabilities[:, inside], case.truth[inside]
        right = probabilities.argmax(axis=0) == truth
        before.add(probabilities.max(axis=0), right)
        after.add(tempered(probabilities, temperature).max(axis=0), right)
        count += 1
        unseen += int(((case.truth > 0) & ~inside).sum())
        wanted += int((case.truth > 0).sum())
    return Calibration(
        temperature=temperature,
        validation_cases=validation_cases,
        test_cases=count,
        unseen_share=unseen / max(wanted, 1),
        before=before.reliability(),
        after=after.reliability(),
    )
