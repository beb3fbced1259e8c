"""Nested cross-validation: what is chosen, is chosen without the studies that it is judged on.

Outer folds judge. Within the training part of each, inner folds choose one setting for all ten
regions (ten choices on some thirty affected examples each would follow noise), and the thresholds
come from the inner folds' probabilities by the service's own rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from willis_training.aspects.states_fit import (
    SLIGHTLY_COVERED,
    RegionTable,
    called_affected,
    choose_thresholds,
)
from willis_training.scores.agreement import area_under_curve
from willis_training.scores.candidates import Candidate, Setting, fit_probability
from willis_training.scores.folds import folds_apart
from willis_training.scores.table import Floats, Rows, ScoreTable

REGIONS = 10


@dataclass(frozen=True)
class NestedPlan:
    """How many folds, and the seed of every model."""

    outer_folds: int = 4
    inner_folds: int = 3
    seed: int = 7


@dataclass(frozen=True)
class OutOfFold:
    """What one candidate says of every row without having seen its head or lesion.

    ``probability`` and ``called`` (n,); ``chosen`` the setting of each outer fold.
    """

    probability: Floats
    called: Rows
    chosen: tuple[Setting, ...]


def judge_candidate(
    candidate: Candidate,
    table: ScoreTable,
    names: Sequence[str],
    plan: NestedPlan,
) -> OutOfFold:
    """Nested cross-validation of one candidate on one feature set."""
    features = table.features(names)
    probability, called = np.zeros(len(table)), np.zeros(len(table), dtype=bool)
    chosen = []
    for training, test in folds_apart(table, plan.outer_folds):
        inside = table.where(training)
        setting, inner = _tune(candidate, inside, features[training], plan)
        limits, gate, _ = choose_thresholds(inside.rows, inner)
        fitted = _fit_regions(candidate, setting, inside.rows, features[training], plan.seed)
        rows = table.where(test).rows
        probability[test] = found = _apply(fitted, rows, features[test])
        called[test] = called_affected(rows, found, limits, gate)
        chosen.append(setting)
    return OutOfFold(probability, called, tuple(chosen))


def _tune(
    candidate: Candidate, table: ScoreTable, features: Floats, plan: NestedPlan
) -> tuple[Setting, Floats]:
    """The setting with the best mean AUC of the regions, and its out-of-fold probabilities."""
    best: tuple[float, Setting, Floats] | None = None
    for setting in candidate.settings:
        found = np.zeros(len(table))
        for training, test in folds_apart(table, plan.inner_folds):
            rows = table.where(training).rows
            fitted = _fit_regions(candidate, setting, rows, features[training], plan.seed)
            found[test] = _apply(fitted, table.where(test).rows, features[test])
        score = float(np.nanmean(region_areas(table.rows, found)))
        if best is None or score > best[0]:
            best = (score, setting, found)
    if best is None:
        raise ValueError("A candidate needs at least one setting.")
    return best[1], best[2]


def region_areas(rows: RegionTable, probability: Floats) -> NDArray[np.float64]:
    """AUC of each region (10,); NaN where a region is never, or always, affected."""
    return np.array(
        [
            area_under_curve(probability[mine], rows.affected[mine])
            for mine in (rows.region == n for n in range(REGIONS))
        ]
    )


def _fit_regions(
    candidate: Candidate, setting: Setting, rows: RegionTable, features: Floats, seed: int
) -> list[Any]:
    """A classifier for each region. Slightly covered regions are neither, so they don't teach."""
    clear = rows.affected | (rows.covered < SLIGHTLY_COVERED)
    return [
        fit_probability(candidate, setting, seed, features[mine], rows.affected[mine])
        for mine in (clear & (rows.region == n) for n in range(REGIONS))
    ]


def _apply(fitted: Sequence[Any], rows: RegionTable, features: Floats) -> Floats:
    found = np.zeros(len(rows.region))
    for n, probability in enumerate(fitted):
        mine = rows.region == n
        if mine.any():
            found[mine] = probability(features[mine])
    return found
