"""Temperature, threshold and interval do what they promise on answers that are known."""

from __future__ import annotations

import numpy as np
import pytest

from willis_models.pipelines.infarct.predicted import interval_around
from willis_training.infarct.answers import Answered
from willis_training.infarct.bundle_calibration import (
    Scale,
    best_threshold,
    calibrated_settings,
    conformal_interval,
    fitted_scale,
    predicted_mask,
)

SHAPE = (12, 16, 16)


def honest(seed: int, sharpness: float = 1.0) -> Answered:
    """Truth drawn with the stated probability, which is then made too sure by ``sharpness``."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(0.0, 1.5, SHAPE)
    truth = rng.random(SHAPE) < 1 / (1 + np.exp(-logit))
    stated = 1 / (1 + np.exp(-sharpness * logit))
    return Answered(f"case {seed}", stated.astype(np.float32), truth, np.ones(SHAPE, bool), 0.025)


def test_a_network_that_is_twice_too_sure_gets_a_temperature_of_two() -> None:
    answers = [honest(seed, sharpness=2.0) for seed in range(6)]

    assert fitted_scale(answers).temperature == pytest.approx(2.0, rel=0.1)
    assert fitted_scale([honest(seed) for seed in range(6)]).temperature == pytest.approx(
        1.0, rel=0.1
    )


def test_healthy_tissue_is_not_given_a_chance_of_infarct_by_calibration() -> None:
    rng = np.random.default_rng(0)
    probability = np.where(rng.random(SHAPE) < 0.1, 0.9, 0.001).astype(np.float32)
    truth = (probability > 0.5) & (rng.random(SHAPE) < 0.4)
    answer = Answered("a", probability, truth, np.ones(SHAPE, bool), 0.025)

    found = fitted_scale([answer])(probability)

    assert found[probability < 0.5].max() < 0.01
    assert found[probability > 0.5].mean() == pytest.approx(0.4, abs=0.05)


def test_the_threshold_is_the_one_of_the_best_dice() -> None:
    truth = np.zeros(SHAPE, bool)
    truth[3:8, 4:12, 4:12] = True
    probability = np.where(truth, 0.3, 0.12).astype(np.float32)
    answer = Answered("a", probability, truth, np.ones(SHAPE, bool), 0.025)

    found = best_threshold([answer], Scale(1.0, 0.0), min_component_ml=0.5)

    assert 0.12 < found < 0.3
    mask = predicted_mask(answer, Scale(1.0, 0.0), found, 0.5)
    np.testing.assert_array_equal(mask, truth)


def test_small_parts_are_not_predicted() -> None:
    probability = np.zeros(SHAPE, np.float32)
    probability[1, 1, 1] = 0.9
    probability[4:9, 4:9, 4:9] = 0.9
    answer = Answered("a", probability, probability > 0, np.ones(SHAPE, bool), 0.025)

    mask = predicted_mask(answer, Scale(1.0, 0.0), 0.5, min_component_ml=0.5)

    assert not mask[1, 1, 1] and mask[5, 5, 5]


def test_the_interval_covers_new_cases_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(300):
        true = rng.lognormal(2.5, 1.0, 41)
        found = np.maximum(np.sqrt(true) + rng.normal(0.0, 1.0, 41), 0.0) ** 2
        rule = conformal_interval(found[:-1], true[:-1], 0.9)
        around = interval_around(float(found[-1]), rule)
        covered.append(around.low - 0.05 <= true[-1] <= around.high + 0.05)

    assert np.mean(covered) == pytest.approx(0.9, abs=0.05)
    assert rule.basis == "calibrated on simulated data"


def test_too_few_cases_give_no_interval() -> None:
    with pytest.raises(ValueError, match="5 cases"):
        conformal_interval(np.ones(5), np.ones(5), 0.9)


def test_settings_rest_on_the_cases_given() -> None:
    answers = [honest(seed, sharpness=2.0) for seed in range(12)]

    found = calibrated_settings(answers, min_component_ml=0.5)

    assert found.cases == 12
    assert found.interval.coverage == 0.9
    stated = found.scale(answers[0].probability)
    assert abs(stated.mean() - answers[0].truth.mean()) < 0.05


def test_a_network_that_finds_nothing_can_not_be_calibrated() -> None:
    silent = Answered(
        "a", np.zeros(SHAPE, np.float32), np.ones(SHAPE, bool), np.ones(SHAPE, bool), 0.025
    )

    with pytest.raises(ValueError, match="no infarct"):
        fitted_scale([silent])
