from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.unit.training.analysis.made_up_results import TEMPERATURE, case
from willis_training.analysis.calibration import (
    Tally,
    calibrate,
    fit_temperature,
    tempered,
    validation_temperature,
)


def drawn(count: int, temperature: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are right as often as they say, then sharpened by a temperature."""
    rng = np.random.default_rng(seed)
    honest = rng.dirichlet((1.0, 1.0, 1.0), count).T
    labels = (rng.random(count) > np.cumsum(honest, axis=0)).sum(axis=0)
    return tempered(honest, 1.0 / temperature), labels


def test_the_temperature_that_sharpened_is_found_again() -> None:
    sharp, labels = drawn(20000, 2.0)
    assert fit_temperature(sharp, labels) == pytest.approx(2.0, rel=0.05)


def test_temperature_one_changes_nothing_and_no_temperature_changes_the_answer() -> None:
    sharp, _ = drawn(500, 2.0)
    np.testing.assert_allclose(tempered(sharp, 1.0), sharp, atol=1e-6)
    np.testing.assert_array_equal(tempered(sharp, 3.0).argmax(0), sharp.argmax(0))


def test_the_expected_error_is_the_gap_between_saying_and_being_right() -> None:
    tally = Tally.empty()
    tally.add(np.full(100, 0.9), np.arange(100) < 60)
    tally.add(np.full(100, 0.5), np.arange(100) < 50)
    found = tally.reliability()
    assert found.expected_error == pytest.approx(0.15)
    assert sum(found.counts) == 200 and max(found.confidence) == pytest.approx(0.9)


def test_full_confidence_falls_into_the_last_bin() -> None:
    tally = Tally.empty()
    tally.add(np.ones(3), np.ones(3, dtype=bool))
    assert tally.reliability().counts[-1] == 3


def test_a_model_too_sure_of_itself_is_calibrated_by_other_cases() -> None:
    temperature, count = validation_temperature(case(n, "validation") for n in range(100, 103))
    found = calibrate(temperature, count, (case(n) for n in range(3)))
    assert temperature == pytest.approx(TEMPERATURE, rel=0.1)
    assert (found.validation_cases, found.test_cases) == (3, 3)
    assert found.after.expected_error < 0.3 * found.before.expected_error


def test_an_honest_model_is_not_made_to_look_too_sure_by_the_choice_of_voxels() -> None:
    sharpened = (case(n, noise=1.2) for n in range(6))
    honest = (
        dataclasses.replace(c, probabilities=tempered(c.probabilities, TEMPERATURE))
        for c in sharpened
    )
    found = calibrate(1.0, 0, honest)
    assert found.before.expected_error < 0.03


def test_without_validation_cases_no_temperature_is_fitted() -> None:
    with pytest.raises(ValueError, match="validation"):
        validation_temperature([])
