"""Calibrated probability, and the interval of the predicted volume."""

from __future__ import annotations

import numpy as np
import pytest

from willis_models.pipelines.infarct.parameters import VolumeInterval
from willis_models.pipelines.infarct.predicted import calibrate, interval_around

RULE = VolumeInterval(coverage=0.9, quantile_sqrt_ml=2.0, basis="calibrated on simulated data")


def test_a_temperature_above_one_draws_probabilities_to_a_half_and_keeps_their_order() -> None:
    p = np.linspace(0.01, 0.99, 50, dtype=np.float32)
    found = calibrate(p, 2.0)

    assert (np.diff(found) > 0).all()
    assert found[0] == pytest.approx(1 / (1 + np.sqrt(0.99 / 0.01)), abs=1e-4)
    assert calibrate(p, 1.0) == pytest.approx(p, abs=1e-5)


def test_certainty_stays_finite() -> None:
    assert np.isfinite(calibrate(np.array([0.0, 1.0], np.float32), 3.0)).all()


def test_the_interval_is_wider_for_larger_volumes_and_never_below_zero() -> None:
    small, large = interval_around(1.0, RULE), interval_around(100.0, RULE)

    assert (small.low, small.high) == (0.0, 9.0)
    assert (large.low, large.high) == (64.0, 144.0)
