from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from willis_training.infarct.bland_altman import agreement, draw_agreement


def test_bias_and_limits_are_mean_and_196_standard_deviations() -> None:
    truth = np.array([10.0, 20.0, 30.0, 40.0])
    found = truth + np.array([1.0, 3.0, 1.0, 3.0])
    limits = agreement(found, truth)
    spread = np.std([1, 3, 1, 3], ddof=1)
    assert limits.bias_ml == pytest.approx(2.0)
    assert limits.lower_ml == pytest.approx(2.0 - 1.96 * spread, abs=1e-3)
    assert limits.upper_ml == pytest.approx(2.0 + 1.96 * spread, abs=1e-3)
    assert limits.outside == 0 and limits.cases == 4
    assert limits.bias_interval_ml[0] <= 2.0 <= limits.bias_interval_ml[1]


def test_about_one_case_in_twenty_lies_outside() -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(10, 50, 400)
    limits = agreement(truth + rng.normal(0, 4, 400), truth, draws=100)
    assert limits.outside == pytest.approx(20, abs=10)
    assert limits.bias_interval_ml[0] < 0 < limits.bias_interval_ml[1]
    assert limits.spread_with_size == pytest.approx(0.0, abs=0.15)


def test_errors_that_grow_with_size_are_seen() -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(1, 200, 200)
    limits = agreement(truth * rng.uniform(0.6, 1.4, 200), truth, draws=50)
    assert limits.spread_with_size is not None and limits.spread_with_size > 0.4


def test_two_cases_have_no_limits_and_equal_volumes_no_spread() -> None:
    with pytest.raises(ValueError, match="three cases"):
        agreement(np.ones(2), np.ones(2))
    assert agreement(np.ones(4), np.ones(4)).spread_with_size is None


def test_the_picture_is_small(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 150, 60)
    volumes = {name: (truth * rng.uniform(0.5, 1.5, 60), truth) for name in ("a", "b", "c", "d")}
    draw_agreement(volumes, tmp_path / "agreement.png", most_ml=150)
    picture = (tmp_path / "agreement.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and len(picture) < 200_000
