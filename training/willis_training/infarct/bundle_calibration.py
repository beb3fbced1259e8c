"""What turns the network's output into an answer: scale, threshold, interval of the volume.

All three come from simulated cases that neither taught nor chose the weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

from willis_models.pipelines.infarct.parameters import VolumeInterval
from willis_models.pipelines.infarct.predicted import calibrate
from willis_training.analysis.calibration import VOXELS_A_CASE
from willis_training.infarct.answers import Answered
from willis_training.metrics import dice

Floats = NDArray[np.float32]

BASIS = "calibrated on simulated data"
COVERAGE = 0.9
THRESHOLDS = tuple(round(0.025 * n, 3) for n in range(2, 33))
_EDGE = 1e-6
_LEAST_SLOPE = 0.05
_CONNECTED = np.ones((3, 3, 3), bool)


@dataclass(frozen=True)
class Scale:
    """Logit of the network divided by ``temperature``, plus ``offset``."""

    temperature: float
    offset: float

    def __call__(self, probability: Floats) -> Floats:
        """The calibrated probability, as the pipeline makes it."""
        return calibrate(probability, self.temperature, self.offset)


@dataclass(frozen=True)
class Settings:
    """What the manifest gets, and how many cases it rests on."""

    scale: Scale
    threshold: float
    interval: VolumeInterval
    cases: int


def calibrated_settings(answers: Sequence[Answered], min_component_ml: float) -> Settings:
    """Fit scale, threshold and interval. Raises ValueError where the cases are too few."""
    scale = fitted_scale(answers)
    threshold = best_threshold(answers, scale, min_component_ml)
    found, true = [], []
    for one in answers:
        mask = predicted_mask(one, scale, threshold, min_component_ml)
        found.append(mask.sum() * one.voxel_ml)
        true.append(one.truth.sum() * one.voxel_ml)
    interval = conformal_interval(np.array(found), np.array(true), COVERAGE)
    return Settings(scale, threshold, interval, len(answers))


def fitted_scale(answers: Iterable[Answered]) -> Scale:
    """Temperature and offset under which the truth is most likely, over all voxels of tissue.

    The voxels that the network thinks healthy count as well: a temperature chosen on the doubtful
    ones alone would give every healthy voxel a chance of infarct.
    """
    logits, truth = _tissue_voxels(answers)
    if not truth.any() or truth.all():
        raise ValueError("The calibration cases hold no infarct, or nothing else.")

    def surprise(parameters: NDArray[np.float64]) -> float:
        scaled = logits * parameters[0] + parameters[1]
        return float(np.mean(np.logaddexp(0.0, scaled) - truth * scaled))

    limits = [(_LEAST_SLOPE, 1 / _LEAST_SLOPE), (None, None)]
    slope, offset = optimize.minimize(surprise, np.array([1.0, 0.0]), bounds=limits).x
    return Scale(1.0 / float(slope), float(offset))


def _tissue_voxels(
    answers: Iterable[Answered],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Logits and truth of at most ``VOXELS_A_CASE`` voxels a case."""
    rng = np.random.default_rng(0)
    logits, truths = [np.zeros(0)], [np.zeros(0, bool)]
    for one in answers:
        where = np.flatnonzero(one.tissue)
        drawn = rng.choice(where, min(len(where), VOXELS_A_CASE), replace=False)
        p = np.clip(one.probability.ravel()[drawn].astype(np.float64), _EDGE, 1 - _EDGE)
        logits.append(np.log(p / (1 - p)))
        truths.append(one.truth.ravel()[drawn])
    return np.concatenate(logits), np.concatenate(truths)


def best_threshold(answers: Sequence[Answered], scale: Scale, min_component_ml: float) -> float:
    """Of the best mean Dice; of equal ones the lower."""
    means = [
        np.mean(
            [
                dice(predicted_mask(one, scale, threshold, min_component_ml), one.truth)
                for one in answers
            ]
        )
        for threshold in THRESHOLDS
    ]
    return THRESHOLDS[int(np.argmax(means))]


def predicted_mask(
    answer: Answered, scale: Scale, threshold: float, min_component_ml: float
) -> NDArray[np.bool_]:
    """As the pipeline thresholds, here on the network's own lattice."""
    mask = scale(answer.probability) > threshold
    parts, count = ndimage.label(mask, structure=_CONNECTED)
    volumes_ml = np.bincount(parts.ravel(), minlength=count + 1)[1:] * answer.voxel_ml
    return np.asarray(np.r_[False, volumes_ml >= min_component_ml][parts])


def conformal_interval(
    found_ml: NDArray[np.float64], true_ml: NDArray[np.float64], coverage: float
) -> VolumeInterval:
    """Split conformal prediction on the roots of the volumes (Lei et al. 2018, JASA 113:1094).

    The quantile is the ceil((n + 1) coverage)-th smallest residual, so that a new case of the same
    kind is covered at least so often. Raises ValueError where n cases are too few for that.
    """
    residuals = np.sort(np.abs(np.sqrt(true_ml) - np.sqrt(found_ml)))
    rank = int(np.ceil((len(residuals) + 1) * coverage))
    if rank > len(residuals):
        raise ValueError(f"{len(residuals)} cases can't give an interval of {coverage:.0%}.")
    return VolumeInterval(
        coverage=coverage, quantile_sqrt_ml=round(float(residuals[rank - 1]), 4), basis=BASIS
    )
