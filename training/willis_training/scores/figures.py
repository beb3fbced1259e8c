"""What the answers of one candidate are worth: regions, sides and studies, with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from willis_models.codes import ASPECTS_REGIONS
from willis_training.aspects.states_fit import RegionTable
from willis_training.intervals import bootstrap_by_group
from willis_training.scores.agreement import (
    area_under_curve,
    intraclass_correlation,
    weighted_kappa,
)
from willis_training.scores.nested import REGIONS, region_areas
from willis_training.scores.table import Floats, Rows, ScoreTable

Figure = tuple[float, float, float]
"""Estimate, lower and upper end of the 95% interval."""


@dataclass(frozen=True)
class SideScores:
    """Score of the stroke's side in each study with a stroke, truth and found, and its head."""

    truth: NDArray[np.int64]
    found: NDArray[np.int64]
    head: NDArray[np.str_]


def stroke_side_scores(rows: RegionTable, called: Rows) -> SideScores:
    """10 minus the affected regions among those that are assessable, on the side of the stroke."""
    truth, found, heads = [], [], []
    for case in np.unique(rows.case[rows.drop_hu > 0]):
        mine = rows.case == case
        left, right = mine & rows.left, mine & ~rows.left
        side = left if rows.covered[left].sum() >= rows.covered[right].sum() else right
        if not side.any():
            continue
        truth.append(REGIONS - int(rows.affected[side].sum()))
        found.append(REGIONS - int(called[side].sum()))
        heads.append(str(rows.head[side][0]))
    return SideScores(np.array(truth), np.array(found), np.array(heads))


def figures_of(
    table: ScoreTable, called: Rows, probability: Floats | None = None
) -> dict[str, Any]:
    """All figures of one candidate; ``probability`` None for a rule, which has no curve."""
    rows = table.rows
    sides = stroke_side_scores(rows, called)
    return {
        **_detection(rows, called),
        **({} if probability is None else {"auc": _area(rows, probability)}),
        **_agreement(sides),
        "stroke_sides": len(sides.truth),
        "stroke_free_at_10": stroke_free_at_ten(rows, called),
        "by_region": by_region(rows, called, probability),
    }


def _detection(rows: RegionTable, called: Rows) -> dict[str, Figure]:
    def shares(drawn: NDArray[np.int64]) -> Floats:
        hit, truth = called[drawn], rows.affected[drawn]
        return np.array([_share(hit, truth), 1.0 - _share(hit, ~truth)])

    estimate, interval = shares(np.arange(len(called))), bootstrap_by_group(rows.head, shares)
    names = ("sensitivity", "specificity")
    return {name: _figure(estimate[n], interval[:, n]) for n, name in enumerate(names)}


def _area(rows: RegionTable, probability: Floats) -> Figure:
    def area(drawn: NDArray[np.int64]) -> Floats:
        return np.array(mean_area(rows, probability, drawn))

    interval = bootstrap_by_group(rows.head, area)
    return _figure(mean_area(rows, probability), interval)


def mean_area(
    rows: RegionTable, probability: Floats, drawn: NDArray[np.int64] | None = None
) -> float:
    """Mean of the regions' AUCs, each region counting alike; ``drawn`` row numbers, or all."""
    chosen = np.arange(len(probability)) if drawn is None else drawn
    region, affected, score = rows.region[chosen], rows.affected[chosen], probability[chosen]
    areas = [area_under_curve(score[region == n], affected[region == n]) for n in range(REGIONS)]
    return float(np.nanmean(areas))


def _agreement(sides: SideScores) -> dict[str, Figure]:
    def figures(drawn: NDArray[np.int64]) -> Floats:
        found, truth = sides.found[drawn], sides.truth[drawn]
        pairs = np.stack([truth, found], axis=1)
        error = found - truth
        return np.array(
            [
                intraclass_correlation(pairs),
                weighted_kappa(found, truth),
                error.mean(),
                np.abs(error).mean(),
            ]
        )

    estimate = figures(np.arange(len(sides.truth)))
    interval = bootstrap_by_group(sides.head, figures)
    names = ("icc", "kappa", "score_error_mean", "score_error_abs_mean")
    return {name: _figure(estimate[n], interval[:, n]) for n, name in enumerate(names)}


def stroke_free_at_ten(rows: RegionTable, called: Rows) -> float:
    """Share of the studies without a stroke that keep the full score on both sides."""
    clean = rows.drop_hu == 0
    studies = np.unique(rows.case[clean])
    return 1.0 - np.unique(rows.case[clean & called]).size / max(studies.size, 1)


def by_region(
    rows: RegionTable, called: Rows, probability: Floats | None
) -> dict[str, dict[str, float]]:
    """Sensitivity, specificity and AUC of each region, with the number of affected ones."""
    areas = np.full(REGIONS, np.nan) if probability is None else region_areas(rows, probability)
    found = {}
    for n, name in enumerate(ASPECTS_REGIONS):
        mine = rows.region == n
        found[name] = {
            "affected": int((mine & rows.affected).sum()),
            "sensitivity": _share(called, mine & rows.affected),
            "specificity": 1.0 - _share(called, mine & ~rows.affected),
            "auc": float(areas[n]),
        }
    return found


def area_gain(table: ScoreTable, probability: Floats, without: Floats) -> Figure:
    """Difference of the mean AUC between two candidates on the same rows, paired in each draw."""
    rows = table.rows

    def gain(drawn: NDArray[np.int64]) -> Floats:
        return np.array(mean_area(rows, probability, drawn) - mean_area(rows, without, drawn))

    estimate = mean_area(rows, probability) - mean_area(rows, without)
    return _figure(estimate, bootstrap_by_group(rows.head, gain))


def _share(called: Rows, among: Rows) -> float:
    return float(called[among].mean()) if among.any() else float("nan")


def _figure(estimate: float, interval: Floats) -> Figure:
    return float(estimate), float(interval[0]), float(interval[1])
