from __future__ import annotations

import numpy as np
import pytest

from tests.unit.training.scores.toy_table import toy_table
from willis_training.scores.figures import (
    area_gain,
    by_region,
    figures_of,
    stroke_free_at_ten,
    stroke_side_scores,
)


def test_the_truth_called_is_perfect_agreement() -> None:
    table = toy_table()
    figures = figures_of(table, table.rows.affected, table.rows.covered)
    for name in ("sensitivity", "specificity", "auc", "icc", "kappa"):
        assert figures[name] == pytest.approx((1.0, 1.0, 1.0)), name
    assert figures["score_error_abs_mean"] == pytest.approx((0.0, 0.0, 0.0))
    assert figures["stroke_free_at_10"] == 1.0


def test_a_side_is_scored_where_the_stroke_lies() -> None:
    table = toy_table(heads=2, studies=4)
    sides = stroke_side_scores(table.rows, np.zeros(len(table), dtype=bool))
    affected = [
        int(table.rows.affected[table.rows.case == n].sum())
        for n in np.unique(table.rows.case[table.rows.drop_hu > 0])
    ]
    assert sides.truth.tolist() == [10 - n for n in affected]
    assert (sides.found == 10).all()
    assert len(sides.truth) == 6


def test_calls_on_the_healthy_side_do_not_change_the_score_of_the_stroke() -> None:
    table = toy_table()
    called = table.rows.affected | ~table.rows.left
    sides = stroke_side_scores(table.rows, called)
    assert (sides.found == sides.truth).all()
    assert stroke_free_at_ten(table.rows, called) == 0.0


def test_one_false_region_costs_a_stroke_free_study_its_ten() -> None:
    table = toy_table()
    clean = np.unique(table.rows.case[table.rows.drop_hu == 0])
    called = np.zeros(len(table), dtype=bool)
    called[np.flatnonzero(table.rows.case == clean[0])[3]] = True
    assert stroke_free_at_ten(table.rows, called) == pytest.approx(1 - 1 / len(clean))


def test_a_region_is_counted_under_its_own_name() -> None:
    table = toy_table()
    called = table.rows.affected & (table.rows.region == 3)
    found = by_region(table.rows, called, None)
    assert found["IC"]["sensitivity"] == 1.0
    assert found["M1"]["sensitivity"] == 0.0
    assert found["IC"]["affected"] == int(called.sum())
    assert np.isnan(found["IC"]["auc"])


def test_the_gain_of_a_feature_is_paired_and_signed() -> None:
    table = toy_table()
    rng = np.random.default_rng(0)
    good = table.features(("difference_hu",))[:, 0]
    worse = good + rng.normal(0.0, 8.0, len(good))
    estimate, low, high = area_gain(table, good, worse)
    assert 0.0 < low < estimate < high
    assert area_gain(table, good, good) == (0.0, 0.0, 0.0)
