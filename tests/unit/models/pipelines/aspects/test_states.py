"""States from evidence: classifier, gate, rule, score and the side to lead with."""

from __future__ import annotations

import numpy as np
import pytest

from willis_models.codes import ASPECTS_REGIONS, Laterality
from willis_models.findings import SideScore, State
from willis_models.pipelines.aspects.features import RegionEvidence
from willis_models.pipelines.aspects.parameters import (
    RegionClassifier,
    RuleParameters,
    StateParameters,
)
from willis_models.pipelines.aspects.states import (
    RegionState,
    apply_rule,
    judge,
    probability_of,
    score_side,
    select_side,
)

RULE = RuleParameters(max_ratio=0.95, min_difference_hu=2.0)
# One feature x gives the probability 1 / (1 + exp(-x)).
CLASSIFIER = RegionClassifier(
    mean=(0.0,), scale=(1.0,), weight=(1.0,), bias=0.0, affected_above=0.5, indeterminate_above=0.3
)
STATES = StateParameters(
    features=("difference_hu",),
    regions=dict.fromkeys(ASPECTS_REGIONS, CLASSIFIER),
    study_threshold=0.8,
    max_not_assessable=3,
)


def logit(probability: float) -> float:
    return float(np.log(probability / (1 - probability)))


def item(label: int, probability: float | None, difference_hu: float = 0.0) -> RegionEvidence:
    measured = probability is not None
    return RegionEvidence(
        label=label,
        voxels=400,
        counted=400 if measured else 0,
        csf=0,
        calcification=0,
        old_infarct=0,
        covered_share=1.0,
        mean_hu=40.0 - difference_hu if measured else None,
        mirror_mean_hu=40.0 if measured else None,
        features=np.array([logit(probability)]) if probability is not None else None,
        reason=None if measured else "The scan does not cover the region.",
    )


def judged(probabilities: dict[int, float | None]) -> dict[int, RegionState]:
    evidence = [item(n, probabilities.get(n, 0.1)) for n in range(1, 21)]
    return {state.evidence.label: state for state in judge(evidence, STATES, RULE)}


def test_a_probability_is_a_logistic_of_standardised_features() -> None:
    classifier = RegionClassifier(
        mean=(2.0, 1.0),
        scale=(4.0, 0.5),
        weight=(1.5, -1.0),
        bias=0.25,
        affected_above=0.5,
        indeterminate_above=0.3,
    )

    found = probability_of(np.array([6.0, 1.5]), classifier)

    assert found == pytest.approx(1 / (1 + np.exp(-(1.5 * 1.0 - 1.0 * 1.0 + 0.25))))


def test_an_absurd_feature_can_not_overrule_everything() -> None:
    assert probability_of(np.array([1e6]), CLASSIFIER) == pytest.approx(1 / (1 + np.exp(-6.0)))


@pytest.mark.parametrize(
    ("probability", "state"),
    [
        (0.1, "unaffected"),
        (0.29, "unaffected"),
        (0.31, "indeterminate"),
        (0.6, "affected"),
        (None, "not_assessable"),
    ],
)
def test_on_a_convincing_side_thresholds_make_the_state(
    probability: float | None, state: State
) -> None:
    assert judged({3: 0.9, 5: probability})[5].state == state


def test_without_one_convincing_region_nothing_counts_as_affected() -> None:
    found = judged({5: 0.79, 6: 0.6})

    assert found[5].state == found[6].state == "indeterminate"


def test_one_sides_convincing_region_does_not_open_the_other_side() -> None:
    found = judged({5: 0.9, 15: 0.6})

    assert found[5].state == "affected"
    assert found[15].state == "indeterminate"


def test_labels_one_to_ten_are_left_and_the_rest_right() -> None:
    found = judged({})

    assert {found[n].side for n in range(1, 11)} == {"left"}
    assert {found[n].side for n in range(11, 21)} == {"right"}
    assert [found[n].region for n in (1, 10, 11, 20)] == ["C", "M6", "C", "M6"]


@pytest.mark.parametrize(
    ("own", "mirror", "state"),
    [
        (38.1, 40.0, "unaffected"),
        (38.0, 40.0, "affected"),
        (28.4, 30.0, "affected"),
        (28.6, 30.0, "unaffected"),
        (42.0, 40.0, "unaffected"),
    ],
    ids=["1.9 HU", "2 HU and 0.95", "0.947", "0.953 and 1.4 HU", "brighter"],
)
def test_the_rule_fires_at_its_ratio_or_its_difference(
    own: float, mirror: float, state: State
) -> None:
    evidence = RegionEvidence(1, 400, 400, 0, 0, 0, 1.0, own, mirror, np.zeros(1), None)

    assert apply_rule(evidence, RULE) == state


def test_the_rule_says_nothing_about_what_could_not_be_measured() -> None:
    assert apply_rule(item(1, None), RULE) == "not_assessable"


def score(states: dict[int, RegionState], side: Laterality) -> SideScore:
    return score_side(list(states.values()), side, STATES.max_not_assessable)


def test_a_healthy_side_scores_ten() -> None:
    found = score(judged({}), "right")

    assert (found.score, found.lowest, found.highest) == (10, 10, 10)


def test_each_affected_region_takes_a_point_and_open_ones_widen_the_interval() -> None:
    found = score(judged({2: 0.9, 5: 0.7, 6: 0.4, 7: None}), "left")

    assert (found.score, found.lowest, found.highest) == (8, 6, 8)
    assert found.affected == ("L", "M1")
    assert found.indeterminate == ("M2",)
    assert found.not_assessable == ("M3",)


def test_with_too_many_regions_not_assessable_there_is_no_score() -> None:
    at_the_limit = score(judged({n: None for n in (5, 6, 7)}), "left")
    beyond = score(judged({n: None for n in (5, 6, 7, 8)}), "left")

    assert (at_the_limit.score, at_the_limit.lowest) == (10, 7)
    assert (beyond.score, beyond.lowest, beyond.highest) == (None, None, None)
    assert beyond.not_assessable == ("M1", "M2", "M3", "M4")


@pytest.mark.parametrize(
    ("probabilities", "side", "words"),
    [
        ({}, None, "does not exclude stroke"),
        ({5: 0.9, 6: 0.9}, "left", "more affected regions"),
        ({n: 0.9 for n in (5, 12, 13, 14, 15, 16)}, "right", "more affected regions"),
        ({5: 0.9, 15: 0.95}, None, "contradict"),
        (
            {5: 0.9, 15: 0.9} | dict.fromkeys((11, 12, 13, 14, 16, 17, 18, 19), 0.45),
            "right",
            "equal",
        ),
        ({5: 0.79}, None, "does not exclude stroke"),
    ],
)
def test_the_side_with_more_affected_regions_and_far_more_evidence_leads(
    probabilities: dict[int, float], side: Laterality | None, words: str
) -> None:
    states = judged(probabilities)

    found = select_side(list(states.values()), [score(states, "left"), score(states, "right")])

    assert found.side == side
    assert words in found.how


def test_a_side_that_can_not_be_scored_does_not_lead() -> None:
    probabilities: dict[int, float | None] = dict.fromkeys((1, 2, 3, 4), None)
    states = judged({**probabilities, 5: 0.95})

    found = select_side(list(states.values()), [score(states, "left"), score(states, "right")])

    assert found.side is None
    assert "The left side can't be scored" in found.how


def test_no_side_leads_where_count_and_evidence_contradict_each_other() -> None:
    """One false alarm on one side must not outvote a whole hemisphere of doubt on the other."""
    states = judged({15: 0.85, **dict.fromkeys((1, 2, 3, 4, 5), 0.45)})

    found = select_side(list(states.values()), [score(states, "left"), score(states, "right")])

    assert states[15].state == "affected"
    assert found.side is None
    assert "contradict" in found.how


def test_no_side_leads_with_less_than_twice_the_evidence_of_the_other() -> None:
    for more, leads in ((0.4, False), (0.9, True)):
        states = judged({**dict.fromkeys((1, 2, 3), 0.3), 15: 0.95, 16: more, 17: more})

        found = select_side(list(states.values()), [score(states, "left"), score(states, "right")])

        assert states[15].state == "affected"
        assert (found.side == "right") is leads
