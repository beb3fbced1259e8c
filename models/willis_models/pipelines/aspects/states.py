"""From evidence to states and scores: a classifier for each region, and the rule beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from willis_models.codes import ASPECTS_REGIONS, SIDES, Laterality
from willis_models.findings import SideScore, SideSelection, State
from willis_models.pipelines.aspects.features import RegionEvidence
from willis_models.pipelines.aspects.parameters import (
    RegionClassifier,
    RuleParameters,
    StateParameters,
)

REGION_COUNT = len(ASPECTS_REGIONS)
LEAD = 2.0
"""Evidence of the leading side over the other's; chosen out of fold on the training heads
(docs/decisions/old-infarct-and-side.md)."""


@dataclass(frozen=True)
class RegionState:
    """The state of one region, its probability, and what the deterministic rule says."""

    evidence: RegionEvidence
    state: State
    rule: State
    probability: float | None

    @property
    def side(self) -> Laterality:
        """The patient's side."""
        return SIDES[0] if self.evidence.label <= REGION_COUNT else SIDES[1]

    @property
    def region(self) -> str:
        """Name of the region, such as M1."""
        return ASPECTS_REGIONS[(self.evidence.label - 1) % REGION_COUNT]


def judge(
    evidence: Sequence[RegionEvidence], states: StateParameters, rule: RuleParameters
) -> list[RegionState]:
    """State of each region. A region counts only on a side whose strongest region is convincing.

    That gate keeps a healthy brain at 10: twenty regions, each with a few percent of false alarms,
    would otherwise lose a point in every third study.
    """
    probabilities = [_probability(item, states) for item in evidence]
    convincing = {side: _strongest(evidence, probabilities, side) for side in SIDES}
    found = []
    for item, probability in zip(evidence, probabilities, strict=True):
        side = SIDES[0] if item.label <= REGION_COUNT else SIDES[1]
        gate = convincing[side] >= states.study_threshold
        state = _state(probability, _classifier(item, states), gate)
        found.append(RegionState(item, state, apply_rule(item, rule), probability))
    return found


def probability_of(features: np.ndarray, classifier: RegionClassifier) -> float:
    """Logistic regression on standardised features."""
    z = (features - np.array(classifier.mean)) / np.array(classifier.scale)
    logit = float(np.clip(z, -6.0, 6.0) @ np.array(classifier.weight)) + classifier.bias
    return float(1.0 / (1.0 + np.exp(-logit)))


def _probability(item: RegionEvidence, states: StateParameters) -> float | None:
    if item.features is None:
        return None
    return probability_of(item.features, _classifier(item, states))


def _classifier(item: RegionEvidence, states: StateParameters) -> RegionClassifier:
    return states.regions[ASPECTS_REGIONS[(item.label - 1) % REGION_COUNT]]


def _strongest(
    evidence: Sequence[RegionEvidence], probabilities: Sequence[float | None], side: Laterality
) -> float:
    mine = [
        p
        for item, p in zip(evidence, probabilities, strict=True)
        if p is not None and (item.label <= REGION_COUNT) == (side == SIDES[0])
    ]
    return max(mine, default=0.0)


def _state(probability: float | None, classifier: RegionClassifier, gate: bool) -> State:
    if probability is None:
        return "not_assessable"
    if probability >= classifier.affected_above:
        return "affected" if gate else "indeterminate"
    return "indeterminate" if probability >= classifier.indeterminate_above else "unaffected"


def apply_rule(item: RegionEvidence, rule: RuleParameters) -> State:
    """The deterministic baseline: affected where ratio or difference passes its limit."""
    if item.features is None or item.ratio is None or item.difference_hu is None:
        return "not_assessable"
    darker = item.ratio <= rule.max_ratio or item.difference_hu >= rule.min_difference_hu
    return "affected" if darker else "unaffected"


def score_side(
    states: Sequence[RegionState], side: Laterality, max_not_assessable: int
) -> SideScore:
    """10 minus the affected regions, with the range that open regions leave."""
    mine = [item for item in states if item.side == side]
    named = {
        state: tuple(item.region for item in mine if item.state == state)
        for state in ("affected", "indeterminate", "not_assessable")
    }
    affected, open_regions = named["affected"], (*named["indeterminate"], *named["not_assessable"])
    known = len(named["not_assessable"]) <= max_not_assessable
    highest = REGION_COUNT - len(affected)
    return SideScore(
        side=side,
        score=highest if known else None,
        lowest=highest - len(open_regions) if known else None,
        highest=highest if known else None,
        affected=affected,
        indeterminate=named["indeterminate"],
        not_assessable=named["not_assessable"],
    )


def select_side(states: Sequence[RegionState], scores: Sequence[SideScore]) -> SideSelection:
    """The side with more affected regions; on a tie the one with the stronger evidence.

    A side that can't be scored, because too much of it is not assessable, does not lead; and no
    side leads whose regions together show less than ``LEAD`` times the other side's evidence.
    """
    counts = {s.side: len(s.affected) if s.score is not None else 0 for s in scores}
    if not any(counts.values()):
        unknown = [score.side for score in scores if score.score is None]
        if unknown:
            return SideSelection(
                side=None,
                how=f"The {' and the '.join(unknown)} side can't be scored: too many regions are "
                "not assessable. This does not exclude stroke.",
            )
        return SideSelection(
            side=None,
            how="No region above threshold on either side; this does not exclude stroke.",
        )
    weight = {side: sum(i.probability or 0.0 for i in states if i.side == side) for side in SIDES}
    side = max(SIDES, key=lambda s: (counts[s], weight[s]))
    if weight[side] < LEAD * sum(weight[other] for other in SIDES if other != side):
        return SideSelection(
            side=None,
            how="The sides contradict each other: one has more affected regions, the other nearly "
            "as much evidence over all regions, or more. This does not exclude stroke.",
        )
    tied = counts[SIDES[0]] == counts[SIDES[1]]
    how = "stronger evidence at equal counts" if tied else "more affected regions"
    return SideSelection(
        side=side, how=f"The {side} side leads: {how}. Clinical side was not given."
    )
