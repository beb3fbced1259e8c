"""Every case against its truth, and what its error goes along with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from willis_training.analysis.results import Fact, SavedCase
from willis_training.intervals import bootstrap_by_group
from willis_training.metrics import dice_by_class, generalised_dice, surface_distances_mm, volume_ml

Floats = NDArray[np.float64]
TOLERANCE_MM = 2.0
FEWEST_CASES = 8
"""With fewer cases a rank correlation says nothing."""


@dataclass(frozen=True)
class CaseScore:
    """Agreement of one case. Lists in the order of the labels; None where neither map holds it."""

    case_id: str
    part: str
    dice: float
    generalised_dice: float
    hd95_mm: float | None
    nsd: float
    truth_ml: float
    found_ml: float
    dice_by_label: Mapping[str, float | None]
    seconds: float
    facts: Mapping[str, Fact]


def score_case(case: SavedCase, label_names: Mapping[int, str]) -> CaseScore:
    """Score one case over all its labels; ``hd95_mm`` is None where a label was missed whole."""
    found, values = case.labels, [value for value in sorted(label_names) if value != 0]
    by_label = dice_by_class(found, case.truth, values)
    surfaces = [
        surface_distances_mm(found == v, case.truth == v, case.spacing_mm, TOLERANCE_MM)
        for v in values
        if (found == v).any() or (case.truth == v).any()
    ]
    hd95_mm = float(np.mean([s.hd95_mm for s in surfaces])) if surfaces else 0.0
    present = by_label[~np.isnan(by_label)]
    return CaseScore(
        case_id=case.case_id,
        part=case.part,
        dice=float(present.mean()) if present.size else 1.0,
        generalised_dice=generalised_dice(found, case.truth, values),
        hd95_mm=hd95_mm if np.isfinite(hd95_mm) else None,
        nsd=float(np.mean([s.nsd for s in surfaces])) if surfaces else 1.0,
        truth_ml=volume_ml(case.truth, case.spacing_mm),
        found_ml=volume_ml(found, case.spacing_mm),
        dice_by_label={
            label_names[v]: None if np.isnan(d) else float(d)
            for v, d in zip(values, by_label, strict=True)
        },
        seconds=case.seconds,
        facts=dict(case.facts),
    )


@dataclass(frozen=True)
class Trend:
    """Spearman's rank correlation of the Dice of a case with one fact; 95% bootstrap interval."""

    fact: str
    cases: int
    rho: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def trends(scores: Sequence[CaseScore], draws: int = 2000) -> tuple[Trend, ...]:
    """The correlation of Dice with every fact that is a number, and with the true volume.

    A fact that fewer than eight cases have, or that never changes, is left out.
    """
    found = []
    for fact in number_facts(scores):
        pairs = fact_and_dice(scores, fact)
        if len(pairs) >= FEWEST_CASES and len(np.unique(pairs[:, 0])) > 2:
            found.append(_trend(fact, pairs, draws))
    return tuple(found)


def number_facts(scores: Sequence[CaseScore]) -> list[str]:
    """Names of all facts that are numbers; the true volume first."""
    named = {n for s in scores for n, v in s.facts.items() if not isinstance(v, str)}
    return ["truth_ml", *sorted(named)]


def fact_and_dice(scores: Sequence[CaseScore], fact: str) -> Floats:
    """(n, 2): the fact and the Dice of each case that has both."""
    pairs = [
        (float(value), score.dice)
        for score in scores
        if (value := score.truth_ml if fact == "truth_ml" else score.facts.get(fact)) is not None
        and not isinstance(value, str)
    ]
    return np.array(pairs, dtype=np.float64).reshape(-1, 2)


def _trend(fact: str, pairs: Floats, draws: int) -> Trend:
    def rho(rows: NDArray[np.int64]) -> Floats:
        drawn = pairs[rows]
        if len(np.unique(drawn[:, 0])) < 2 or len(np.unique(drawn[:, 1])) < 2:
            return np.array(np.nan)
        return np.array(spearmanr(drawn[:, 0], drawn[:, 1]).statistic)

    each = np.arange(len(pairs))
    low, high = bootstrap_by_group(each.astype(np.str_), rho, draws)
    return Trend(fact, len(pairs), float(rho(each)), float(low), float(high))
