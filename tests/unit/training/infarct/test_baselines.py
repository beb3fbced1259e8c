from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from willis_training.fitting.samples import PreparedCase
from willis_training.infarct.baselines import (
    VoxelRegression,
    fit_regression,
    load_regression,
    save_regression,
    with_best_threshold,
)

SHAPE = (6, 20, 20)


def drawn_case(seed: int, slope: float = 6.0) -> PreparedCase:
    """Flow and delay at random; infarct by a logistic rule of both, flow 0 outside a border."""
    rng = np.random.default_rng(seed)
    image = rng.uniform(0.05, 1.0, (3, *SHAPE)).astype(np.float32)
    image[:, :, :3] = 0.0
    logit = slope * (image[2] - image[0]) - 1.0
    infarct = (rng.random(SHAPE) < 1 / (1 + np.exp(-logit))) & (image[0] > 0)
    return PreparedCase(image, infarct.astype(np.uint8), (4.0, 2.5, 2.5))


def test_the_regression_finds_the_rule_that_made_the_infarct() -> None:
    regression = fit_regression([drawn_case(n) for n in range(8)], (0, 2))
    slow, fast = np.zeros((2, 3, 1, 1, 2), np.float32)
    slow[0], slow[2], fast[0], fast[2] = 0.1, 0.9, 0.9, 0.1
    for image, low, high in ((slow, 0.95, 1.0), (fast, 0.0, 0.05)):
        assert low <= regression(image)[1].mean() <= high
    case = drawn_case(99)
    probability = regression(case.image)[1]
    inside = case.image[0] > 0
    for low in (0.0, 0.3, 0.6):
        among = inside & (probability >= low) & (probability < low + 0.3)
        assert case.labels[among].mean() == pytest.approx(probability[among].mean(), abs=0.08)


def test_probabilities_add_up_and_are_nothing_outside_tissue() -> None:
    case = drawn_case(0)
    found = fit_regression([case], (0, 2))(case.image)
    assert found.dtype == np.float32 and found.shape == (2, *SHAPE)
    np.testing.assert_allclose(found.sum(axis=0), 1.0, atol=1e-6)
    assert not found[1][:, :3].any()


def test_the_threshold_is_that_of_the_best_mean_dice() -> None:
    cases = [drawn_case(n) for n in range(4)]
    fitted = with_best_threshold(fit_regression(cases, (0, 2)), cases)

    def mean_dice(threshold: float) -> float:
        found = []
        for case in cases:
            mask, truth = fitted(case.image)[1] >= threshold, case.labels > 0
            found.append(2 * (mask & truth).sum() / (mask.sum() + truth.sum()))
        return float(np.mean(found))

    best = mean_dice(fitted.threshold)
    assert all(best >= mean_dice(other) - 1e-9 for other in (0.1, 0.3, 0.5, 0.7, 0.9))


def test_the_same_cases_give_the_same_regression() -> None:
    cases = [drawn_case(n) for n in range(3)]
    assert fit_regression(cases, (0, 2)) == fit_regression(cases, (0, 2))


def test_cases_without_infarct_teach_nothing() -> None:
    healthy = PreparedCase(drawn_case(0).image, np.zeros(SHAPE, np.uint8), (4.0, 2.5, 2.5))
    with pytest.raises(ValueError, match="with and without infarct"):
        fit_regression([healthy], (0, 2))
    with pytest.raises(ValueError, match="at least one validation case"):
        with_best_threshold(VoxelRegression((0,), (1.0, 0.0), 0.0), [])


def test_a_stored_regression_is_the_same(tmp_path: Path) -> None:
    regression = VoxelRegression((0, 3), (1.0, -2.0, 0.5, 0.25), -1.5, 0.35)
    save_regression(regression, tmp_path / "regression.json")
    assert load_regression(tmp_path / "regression.json") == regression
