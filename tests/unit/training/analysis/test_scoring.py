from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.unit.training.analysis.made_up_results import NAMES, SHAPE, case, truth
from willis_training.analysis.results import SavedCase
from willis_training.analysis.scoring import CaseScore, score_case, trends


def answered(labels: np.ndarray) -> SavedCase:
    one_hot = (np.arange(3)[:, None, None, None] == labels).astype(np.float32)
    return dataclasses.replace(case(0), probabilities=one_hot)


def test_a_perfect_answer_scores_one_everywhere() -> None:
    score = score_case(answered(truth()), NAMES)
    assert (score.dice, score.generalised_dice, score.nsd, score.hd95_mm) == (1.0, 1.0, 1.0, 0.0)
    assert score.truth_ml == score.found_ml == pytest.approx(384 * 3 / 1000)


def test_a_label_that_was_missed_whole_has_no_distance_and_dice_zero() -> None:
    labels = np.where(truth() == 1, 2, truth())
    score = score_case(answered(labels), NAMES)
    assert score.dice_by_label["core"] == 0.0
    assert score.hd95_mm is None
    assert score.found_ml == score.truth_ml


def test_a_label_that_neither_holds_takes_no_part() -> None:
    score = score_case(answered(truth()), {**NAMES, 3: "nowhere"})
    assert score.dice == 1.0 and score.dice_by_label["nowhere"] is None


def test_a_case_without_any_label_that_is_left_empty_is_right() -> None:
    nothing = dataclasses.replace(answered(truth() * 0), truth=np.zeros(SHAPE, dtype=np.uint8))
    score = score_case(nothing, NAMES)
    assert (score.dice, score.nsd, score.hd95_mm) == (1.0, 1.0, 0.0)


def made(dice: float, **facts: float | str) -> CaseScore:
    return CaseScore("c", "test", dice, dice, 1.0, 1.0, 2.0, 2.0, {}, 0.1, facts)


def test_what_drives_the_error_is_found_and_what_does_not_is_not() -> None:
    rng = np.random.default_rng(3)
    thickness = rng.uniform(1, 8, 40)
    scores = [
        made(0.9 - 0.03 * t + 0.01 * rng.standard_normal(), thickness_mm=t, coin=rng.random())
        for t in thickness
    ]
    by_name = {trend.fact: trend for trend in trends(scores, draws=500)}
    assert set(by_name) == {"thickness_mm", "coin"}, "a truth that never changes is left out"
    assert by_name["thickness_mm"].rho < -0.9 and by_name["thickness_mm"].is_clear
    assert not by_name["coin"].is_clear
    assert by_name["coin"].low < by_name["coin"].rho < by_name["coin"].high


def test_words_and_too_few_cases_give_no_trend() -> None:
    assert trends([made(0.1 * n, site="R001") for n in range(9)]) == ()
    assert trends([made(0.1 * n, noise_hu=float(n)) for n in range(7)]) == ()
