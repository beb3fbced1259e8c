"""All judged cases as the figures of the evaluation page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from willis_training.analysis.calibration import Tally
from willis_training.comparison.paired import compare_all
from willis_training.infarct.bland_altman import agreement
from willis_training.infarct.challenge import CEILING_DICE, CEILING_OF, FIGURES, SIZE_BINS, size_bin
from willis_training.infarct.evaluate import BASELINES, NETWORK, CaseRecord
from willis_training.intervals import bootstrap_by_group

Floats = NDArray[np.float64]
DRAWS = 2000
SIMULATED = "simulated"
COURSES = {"flow returned": 1.0, "flow did not return": 0.0}
_PAIRED = ("dice", "volume_difference_ml")
_LEAST_AGREEMENT = 3


def summarise(
    records: Sequence[CaseRecord], draws: int = DRAWS, source: str = SIMULATED
) -> dict[str, Any]:
    """Figures by method, by size, by centre; paired tests; agreement of volumes; calibration.

    Intervals are 95%, bootstrapped by case. Rejected cases have no numbers and are counted apart.
    ``source`` names the set that the cases are of, where they are not simulated.
    Raises ValueError where no case could be analysed.
    """
    done = [record for record in records if record.scores]
    if not done:
        raise ValueError("No case was analysed: there is nothing to report.")
    methods = [name for name in done[0].scores if all(name in one.scores for one in done)]
    return {
        "source": source,
        "cases": len(records),
        "analysed": len(done),
        "rejected": dict(Counter(one.code or "" for one in records if not one.scores)),
        "groups": sorted({record.group for record in records}),
        "truth_ml": _percentiles([record.truth_ml for record in done]),
        "methods": {name: _figures(done, name, draws) for name in methods},
        "by_size": _by_bin(done, methods, [name for name, _, _ in SIZE_BINS], _size_of),
        "by_centre": _by_bin(done, methods, sorted({r.centre for r in done}), _centre_of),
        "by_course": _by_course(done, methods, draws),
        "paired": {figure: _paired(done, methods, figure, draws) for figure in _PAIRED},
        "agreement": _agreement(done, methods, draws),
        "calibration": _calibration(done),
        "interval": _coverage(done, draws),
        "seconds_median": round(float(np.median([record.seconds for record in done])), 2),
        "beats": _beats(done, methods),
        "public_ceiling": {"set": CEILING_OF, "dice": CEILING_DICE},
        "performance_on_patients": patients_text(source, len(done)),
    }


def patients_text(source: str, cases: int) -> str:
    """What the page says of patients: nothing was measured, unless the cases are real."""
    if source == SIMULATED:
        return "not measured"
    return f"measured on {cases} cases of {source} only, as above"


def column(records: Iterable[CaseRecord], method: str, figure: str) -> Floats:
    """One figure of one method, case by case."""
    return np.array([record.scores[method][figure] for record in records], dtype=np.float64)


def _figures(done: Sequence[CaseRecord], method: str, draws: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for figure in FIGURES:
        values = column(done, method, figure)
        found[figure] = {
            "mean": round(float(values.mean()), 4),
            "interval": mean_interval(values, draws),
            "median": round(float(np.median(values)), 4),
            "sd": round(float(values.std(ddof=1)), 4) if len(values) > 1 else None,
        }
    return found


def mean_interval(values: Floats, draws: int = DRAWS) -> tuple[float, float]:
    """95% bootstrap interval of a mean over cases."""

    def mean(rows: NDArray[np.int64]) -> Floats:
        return np.asarray(values[rows].mean())

    low, high = bootstrap_by_group(np.arange(len(values)).astype(np.str_), mean, draws)
    return round(float(low), 4), round(float(high), 4)


def _size_of(record: CaseRecord) -> str:
    return size_bin(record.truth_ml)


def _centre_of(record: CaseRecord) -> str:
    return record.centre


def _by_bin(
    done: Sequence[CaseRecord], methods: Sequence[str], names: Sequence[str], bin_of: Any
) -> dict[str, Any]:
    found = {}
    for name in names:
        mine = [record for record in done if bin_of(record) == name]
        if mine:
            found[name] = {
                "cases": len(mine),
                **{
                    method: {
                        figure: round(float(column(mine, method, figure).mean()), 4)
                        for figure in FIGURES
                    }
                    for method in methods
                },
            }
    return found


def _paired(
    done: Sequence[CaseRecord], methods: Sequence[str], figure: str, draws: int
) -> list[dict[str, Any]]:
    """The network against every other method: difference, interval, Wilcoxon, Holm."""
    values = {name: column(done, name, figure) for name in methods}
    cases = np.array([record.case_id for record in done])
    tests = compare_all(values, cases, draws)
    return [asdict(test) for test in tests if test.first == NETWORK]


def _by_course(done: Sequence[CaseRecord], methods: Sequence[str], draws: int) -> dict[str, Any]:
    """Cases in whom flow returned and those in whom it did not, where that is known.

    Which share of a test set was reperfused decides how good a threshold of Tmax looks.
    """
    found = {}
    for name, value in COURSES.items():
        mine = [one for one in done if one.facts.get("reperfused") == value]
        if mine:
            own = column(mine, NETWORK, "dice")
            others = {other: column(mine, other, "dice") for other in methods if other != NETWORK}
            found[name] = {
                "cases": len(mine),
                "dice": {NETWORK: round(float(own.mean()), 4)}
                | {other: round(float(dice.mean()), 4) for other, dice in others.items()},
                "difference": {
                    other: (round(float((own - dice).mean()), 4), *mean_interval(own - dice, draws))
                    for other, dice in others.items()
                },
            }
    return found


def _agreement(done: Sequence[CaseRecord], methods: Sequence[str], draws: int) -> dict[str, Any]:
    if len(done) < _LEAST_AGREEMENT:
        return {}
    return {
        name: asdict(
            agreement(column(done, name, "found_ml"), column(done, name, "truth_ml"), draws)
        )
        for name in methods
    }


def _calibration(done: Sequence[CaseRecord]) -> dict[str, Any]:
    """Reliability over all cases' voxels, before and after the temperature."""
    found: dict[str, Any] = {}
    for name in ("before", "after"):
        parts = [one.reliability[name] for one in done if name in one.reliability]
        if parts:
            counts, probability, infarcted = np.array(parts, dtype=np.float64).sum(axis=0)
            found[name] = asdict(Tally(counts, probability, infarcted).reliability())
    found["unseen_share"] = round(float(np.mean([one.unseen_share for one in done])), 4)
    return found


def _coverage(done: Sequence[CaseRecord], draws: int) -> dict[str, Any] | None:
    """How often the interval held the true volume, against what it promises."""
    with_interval = [one for one in done if one.interval_ml is not None]
    if not with_interval:
        return None
    inside = np.array([_holds(one) for one in with_interval], dtype=np.float64)
    width = [high - low for low, high in (one.interval_ml or (0, 0) for one in with_interval)]
    by_size = {
        name: {
            "cases": len(mine),
            "inside": round(float(np.mean([_holds(one) for one in mine])), 4),
        }
        for name, _, _ in SIZE_BINS
        if (mine := [one for one in with_interval if _size_of(one) == name])
    }
    return {
        "promised": with_interval[0].coverage,
        "cases": len(with_interval),
        "inside": round(float(inside.mean()), 4),
        "inside_interval": mean_interval(inside, draws),
        "median_width_ml": round(float(np.median(width)), 2),
        "by_size": by_size,
    }


def _holds(record: CaseRecord) -> bool:
    low, high = record.interval_ml or (0.0, 0.0)
    return low <= record.truth_ml <= high


def _beats(done: Sequence[CaseRecord], methods: Sequence[str]) -> dict[str, bool]:
    """Whether the network's mean Dice is above that of each baseline."""
    if NETWORK not in methods:
        return {}
    own = column(done, NETWORK, "dice").mean()
    return {
        name: bool(own > column(done, name, "dice").mean()) for name in BASELINES if name in methods
    }


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    return {str(p): round(float(np.percentile(values, p)), 2) for p in (5, 25, 50, 75, 95)}


def flat_figures(summary: Mapping[str, Any]) -> dict[str, float]:
    """The network's mean figures under one name each, for gates and cards."""
    own = summary["methods"][NETWORK]
    return {figure: float(own[figure]["mean"]) for figure in FIGURES}
