"""Region classifiers: logistic regression on asymmetry features, thresholds chosen out of fold.

Folds are heads, so that no threshold is chosen on a head that the classifier saw. A region is
truly affected when the lesion covers at least 20% of its tissue; regions covered a little (5-20%)
take no part in fitting, but count as unaffected when specificity is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from willis_models.codes import ASPECTS_REGIONS
from willis_models.imaging.register import Registration
from willis_models.pipelines.aspects.features import FEATURES, measure
from willis_models.pipelines.aspects.head import HeadInTemplate
from willis_models.pipelines.aspects.parameters import TissueParameters
from willis_models.volume import Grid
from willis_training.aspects.cases import TrainingCase
from willis_training.simulation.pathology import GREY_SHARE_COVERED

SLIGHTLY_COVERED = 0.05
REGION_SPECIFICITIES = (0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98)
CLEAN_STUDIES_AT_TEN = 0.92
MIN_SPECIFICITY = 0.93
INDETERMINATE_SPECIFICITY = 0.9
PENALTY = 0.1

Labeller = Callable[[TrainingCase], NDArray[np.uint8]]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RegionTable:
    """One row for each assessable region of each case.

    ``features`` (n, f); ``region`` 0-9; ``left``; ``case`` number; ``head`` name; ``covered``
    share; ``drop_hu`` of the case's stroke (0 without one).
    """

    features: Floats
    region: NDArray[np.int64]
    left: NDArray[np.bool_]
    case: NDArray[np.int64]
    head: NDArray[np.str_]
    covered: Floats
    drop_hu: Floats

    @property
    def affected(self) -> NDArray[np.bool_]:
        """Tissue truth."""
        return self.covered >= GREY_SHARE_COVERED


@dataclass(frozen=True)
class FittedStates:
    """The manifest's ``states`` and ``thresholds``, and the out-of-fold figures behind them."""

    states: dict[str, Any]
    thresholds: dict[str, Any]
    figures: dict[str, float]


def collect(
    cases: Iterable[TrainingCase], label: Labeller, grid: Grid, limits: TissueParameters
) -> RegionTable:
    """Measure every region of every case on the labels that the network gives it."""
    rows: list[tuple[Floats, int, bool, int, str, float, float]] = []
    for number, case in enumerate(cases):
        for item in measure(as_head(case, grid), label(case), limits):
            if item.features is None:
                continue
            index = item.label - 1
            rows.append(
                (
                    item.features,
                    index % 10,
                    index < 10,
                    number,
                    case.head,
                    float(case.covered[index]),
                    case.drop_hu,
                )
            )
    features, region, left, numbers, head, covered, drop = zip(*rows, strict=True)
    return RegionTable(
        np.array(features),
        np.array(region),
        np.array(left),
        np.array(numbers),
        np.array(head),
        np.array(covered),
        np.array(drop),
    )


def as_head(case: TrainingCase, grid: Grid) -> HeadInTemplate:
    """A stored case as ``prepare`` gave it."""
    aligned = Registration(np.eye(4), 1.0)
    hu = case.hu.astype(np.float32)
    return HeadInTemplate(grid, hu, case.brain, case.covered_grid, aligned, 0.0)


def fit_states(table: RegionTable, max_not_assessable: int) -> FittedStates:
    """Fit each region's classifier and choose all thresholds out of fold."""
    scores = _out_of_fold(table)
    thresholds, gate, figures = choose_thresholds(table, scores)
    open_above = [
        _quantile(scores[_negatives(table, r)], INDETERMINATE_SPECIFICITY) for r in range(10)
    ]
    regions = {
        name: _final_classifier(table, r, thresholds[r], min(open_above[r], thresholds[r]))
        for r, name in enumerate(ASPECTS_REGIONS)
    }
    states = {
        "features": list(FEATURES),
        "regions": regions,
        "study_threshold": gate,
        "max_not_assessable": max_not_assessable,
    }
    how = (
        "out of fold by head on simulated studies: highest sensitivity with region specificity "
        f"of at least {MIN_SPECIFICITY:.2f} and {CLEAN_STUDIES_AT_TEN:.0%} of stroke-free studies "
        "at 10"
    )
    named = {f"affected_{n}": t for n, t in zip(ASPECTS_REGIONS, thresholds, strict=True)}
    named["study"] = gate
    described = {key: {"value": float(v), "chosen": how} for key, v in named.items()}
    return FittedStates(states, described, figures)


def _out_of_fold(table: RegionTable) -> Floats:
    """Probability of each row from classifiers that did not see its head."""
    scores = np.zeros(len(table.region))
    for head in np.unique(table.head):
        for region in range(10):
            apart = (table.head == head) & (table.region == region)
            scale, model = _fit(table, (table.head != head) & (table.region == region))
            if apart.any():
                scores[apart] = model.predict_proba(_standardise(table.features[apart], scale))[
                    :, 1
                ]
    return scores


def _fit(
    table: RegionTable, rows: NDArray[np.bool_]
) -> tuple[tuple[Floats, Floats], LogisticRegression]:
    clear = rows & (table.affected | (table.covered < SLIGHTLY_COVERED))
    features = table.features[clear]
    mean, scale = np.median(features, axis=0), np.maximum(features.std(axis=0), 1e-3)
    model = LogisticRegression(C=PENALTY, max_iter=500, class_weight={0: 1.0, 1: 2.0})
    model.fit(_standardise(features, (mean, scale)), table.affected[clear])
    return (mean, scale), model


def _standardise(features: Floats, scale: tuple[Floats, Floats]) -> Floats:
    return np.clip((features - scale[0]) / scale[1], -6.0, 6.0)


def choose_thresholds(
    table: RegionTable, scores: Floats
) -> tuple[list[float], float, dict[str, float]]:
    """Region thresholds and the side's gate with the best sensitivity within the limits."""
    best: tuple[float, list[float], float, dict[str, float]] | None = None
    for specificity in REGION_SPECIFICITIES:
        limits = [_quantile(scores[_negatives(table, r)], specificity) for r in range(10)]
        gate = _gate(table, scores, limits)
        figures = operating_point(table, scores, limits, gate)
        if figures["specificity"] < MIN_SPECIFICITY:
            continue
        if best is None or figures["sensitivity_3hu"] > best[0]:
            best = (figures["sensitivity_3hu"], limits, gate, figures)
    if best is None:
        raise RuntimeError("No threshold reaches the specificity that is asked for.")
    return best[1], best[2], best[3]


def _negatives(table: RegionTable, region: int) -> NDArray[np.bool_]:
    return np.asarray((table.region == region) & ~table.affected)


def _quantile(scores: Floats, specificity: float) -> float:
    return float(np.clip(np.quantile(scores, specificity), 0.02, 0.999))


def _side_peaks(table: RegionTable, scores: Floats, limits: list[float]) -> Floats:
    """For each row, the strongest score of its side among regions over their limit."""
    counted = np.where(scores >= np.array(limits)[table.region], scores, 0.0)
    key = table.case * 2 + table.left
    peaks = np.zeros(int(key.max()) + 1)
    np.maximum.at(peaks, key, counted)
    return peaks[key]


def _gate(table: RegionTable, scores: Floats, limits: list[float]) -> float:
    """The least gate that leaves the wanted share of stroke-free studies without any point lost."""
    peaks = _side_peaks(table, scores, limits)
    clean = table.drop_hu == 0
    worst = [peaks[clean & (table.case == n)].max() for n in np.unique(table.case[clean])]
    return float(np.quantile(worst, CLEAN_STUDIES_AT_TEN)) + 1e-6


def called_affected(
    table: RegionTable, scores: Floats, limits: list[float], gate: float
) -> NDArray[np.bool_]:
    """Rows over their region's limit, on a side that shows a region over the gate."""
    over = scores >= np.array(limits)[table.region]
    return np.asarray(over & (_side_peaks(table, scores, limits) >= gate))


def operating_point(
    table: RegionTable, scores: Floats, limits: list[float], gate: float
) -> dict[str, float]:
    """Sensitivity (all, and for drops of 3 HU or more), specificity, stroke-free studies at 10."""
    called = called_affected(table, scores, limits, gate)
    strong = table.affected & (table.drop_hu >= 3.0)
    clean = table.drop_hu == 0
    flagged = np.unique(table.case[clean & called]).size
    return {
        "sensitivity": float(called[table.affected].mean()),
        "sensitivity_3hu": float(called[strong].mean()),
        "specificity": float(1.0 - called[~table.affected].mean()),
        "clean_studies_at_10": 1.0 - flagged / max(np.unique(table.case[clean]).size, 1),
    }


def _final_classifier(
    table: RegionTable, region: int, affected_above: float, indeterminate_above: float
) -> dict[str, Any]:
    (mean, scale), model = _fit(table, table.region == region)
    return {
        "mean": [round(float(v), 6) for v in mean],
        "scale": [round(float(v), 6) for v in scale],
        "weight": [round(float(v), 6) for v in model.coef_[0]],
        "bias": round(float(model.intercept_[0]), 6),
        "affected_above": round(affected_above, 6),
        "indeterminate_above": round(indeterminate_above, 6),
    }
