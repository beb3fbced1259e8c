from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from willis_training.scores.agreement import (
    area_under_curve,
    intraclass_correlation,
    weighted_kappa,
)


def test_the_intraclass_correlation_is_that_of_shrout_and_fleiss() -> None:
    """Table 2 of Shrout and Fleiss 1979: six targets, four judges, ICC(2,1) = .29."""
    ratings = np.array(
        [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    )
    assert intraclass_correlation(ratings) == pytest.approx(0.2898, abs=1e-4)


def test_a_constant_shift_costs_agreement_though_not_correlation() -> None:
    truth = np.arange(10)
    same, shifted = np.stack([truth, truth], 1), np.stack([truth, truth + 3], 1)
    assert intraclass_correlation(same) == pytest.approx(1.0)
    assert intraclass_correlation(shifted) < 0.75


def test_scores_that_never_vary_have_no_agreement_to_speak_of() -> None:
    assert np.isnan(intraclass_correlation(np.full((5, 2), 10)))
    assert np.isnan(weighted_kappa(np.full(5, 10), np.full(5, 10)))


def test_kappa_with_linear_weights_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 11, 60)
    found = np.clip(truth + rng.integers(-2, 3, 60), 0, 10)
    expected = cohen_kappa_score(truth, found, weights="linear", labels=list(range(11)))
    assert weighted_kappa(found, truth) == pytest.approx(expected)


def test_the_area_under_the_curve_counts_ties_by_half() -> None:
    rng = np.random.default_rng(1)
    scores, positive = rng.integers(0, 5, 80).astype(float), rng.random(80) < 0.4
    assert area_under_curve(scores, positive) == pytest.approx(roc_auc_score(positive, scores))


def test_without_both_kinds_there_is_no_area() -> None:
    assert np.isnan(area_under_curve(np.array([0.2, 0.8]), np.array([True, True])))
