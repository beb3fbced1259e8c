"""Agreement of two scores, and the area under the curve."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Floats = NDArray[np.float64]


def intraclass_correlation(ratings: NDArray[np.generic]) -> float:
    """ICC(2,1): two-way random effects, absolute agreement, single rater (Shrout and Fleiss 1979).

    ``ratings`` (targets, raters), at least two of each; NaN where nothing varies.
    """
    x = np.asarray(ratings, dtype=np.float64)
    targets, raters = x.shape
    mean = x.mean()
    between_targets = raters * ((x.mean(axis=1) - mean) ** 2).sum() / (targets - 1)
    between_raters = targets * ((x.mean(axis=0) - mean) ** 2).sum() / (raters - 1)
    residual = x - x.mean(axis=1, keepdims=True) - x.mean(axis=0) + mean
    error = (residual**2).sum() / ((targets - 1) * (raters - 1))
    total = between_targets + (raters - 1) * error + raters * (between_raters - error) / targets
    return float((between_targets - error) / total) if total > 0 else float("nan")


def weighted_kappa(found: NDArray[np.int64], truth: NDArray[np.int64], highest: int = 10) -> float:
    """Cohen's kappa with linear weights, for scores 0 to ``highest``; NaN where nothing varies."""
    size = highest + 1
    observed = np.bincount(truth * size + found, minlength=size * size).reshape(size, size)
    expected = np.outer(observed.sum(axis=1), observed.sum(axis=0)) / observed.sum()
    weight = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
    by_chance = float((weight * expected).sum())
    return 1.0 - float((weight * observed).sum()) / by_chance if by_chance > 0 else float("nan")


def area_under_curve(scores: Floats, positive: NDArray[np.bool_]) -> float:
    """Chance that a positive scores above a negative (Mann-Whitney); NaN without both kinds."""
    yes = int(positive.sum())
    no = positive.size - yes
    if yes == 0 or no == 0:
        return float("nan")
    return float((rankdata(scores)[positive].sum() - yes * (yes + 1) / 2) / (yes * no))
