from __future__ import annotations

import numpy as np
import pytest

from willis_training.comparison.paired import compare_all, holm, signed_rank_p

PERSONS = np.array([f"sub-{n // 2}" for n in range(24)])


def test_holms_correction_steps_down_and_never_falls() -> None:
    """Worked by hand: .01 x 4, .02 x 3 -> .06, .03 x 2 = .06, .04 x 1 raised to .06."""
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.6, 0.9]) == pytest.approx([1.0, 1.0])


def test_networks_that_never_differ_are_not_told_apart() -> None:
    assert signed_rank_p(np.zeros(10)) == 1.0


def test_five_cases_won_alike_are_not_yet_significant() -> None:
    """The smallest two-sided p of five pairs is 2 / 2^5."""
    assert signed_rank_p(np.array([0.1, 0.2, 0.3, 0.4, 0.5])) == pytest.approx(2 / 32)


def test_a_steady_advantage_is_found_with_its_size() -> None:
    rng = np.random.default_rng(0)
    worse = rng.uniform(0.5, 0.7, 24)
    (test,) = compare_all({"a": worse + rng.normal(0.05, 0.01, 24), "b": worse}, PERSONS)
    assert (test.first, test.second) == ("a", "b")
    assert test.low < 0.05 < test.high
    assert test.low > 0.0
    assert test.p == test.p_holm < 0.001


def test_every_pair_is_tested_and_corrected_together() -> None:
    rng = np.random.default_rng(1)
    tests = compare_all({name: rng.uniform(size=24) for name in "abcd"}, PERSONS, draws=50)
    assert len(tests) == 6
    assert all(test.p_holm >= test.p for test in tests)


def test_scans_of_one_person_count_as_one_in_the_interval() -> None:
    rng = np.random.default_rng(2)
    by_person = np.repeat(rng.normal(0.0, 0.1, 6), 4)
    dice = {"a": 0.5 + by_person, "b": np.full(24, 0.5)}
    alone = np.array([str(n) for n in range(24)])
    together = np.repeat(np.array(list("abcdef")), 4)
    (narrow,), (wide,) = compare_all(dice, alone), compare_all(dice, together)
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)
