"""Times of slices to one axis."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.unit.models.perfusion.block_phantom import TISSUES, artery_at, tissue_at
from willis_models.perfusion.sampling import (
    Axis,
    arrival_of,
    baseline_matrix,
    interpolation_matrix,
    rise_matrix,
    second_arrival_of,
)


def test_the_axis_runs_from_the_first_image_to_the_last() -> None:
    times = np.array([[0.0, 0.7], [3.0, 3.7], [6.0, 6.7]])
    axis = Axis.over(times, 0.5)
    assert axis.times_s[0] == 0.0
    assert axis.times_s[-1] == 6.5
    assert np.allclose(np.diff(axis.times_s), 0.5)


def test_slices_scanned_at_other_times_give_the_same_curve() -> None:
    """As in shuttle mode: without it, a slice scanned 1.5 s later reads as a delay of 1.5 s."""
    early, late = np.arange(0.0, 60.0, 3.0), np.arange(1.5, 61.5, 3.0)
    axis = Axis.over(np.stack([early, late], axis=1), 0.5)
    grey = TISSUES["grey"]
    curves = [interpolation_matrix(t, axis) @ tissue_at(grey, t) for t in (early, late)]
    inside = (axis.times_s > 2.0) & (axis.times_s < 57.0)
    assert np.abs(curves[0] - curves[1])[inside].max() < 0.06 * curves[0].max()
    peaks = [axis.times_s[c.argmax()] for c in curves]
    assert peaks[0] == pytest.approx(peaks[1], abs=0.5)


def test_uneven_sampling_keeps_the_area() -> None:
    even, uneven = np.arange(0.0, 60.1, 1.0), np.r_[np.arange(0.0, 30.0, 1.5), np.arange(30, 61, 3)]
    areas = []
    for times in (even, uneven):
        axis = Axis.over(times[:, None], 0.5)
        areas.append(float((interpolation_matrix(times, axis) @ artery_at(times)).sum()) * 0.5)
    assert areas[1] == pytest.approx(areas[0], rel=0.02)


def test_beyond_a_slices_own_ends_its_curve_stays_level() -> None:
    axis = Axis.over(np.array([[0.0], [10.0]]), 0.5)
    matrix = interpolation_matrix(np.array([2.0, 4.0, 6.0, 8.0]), axis)
    curve = matrix @ np.array([1.0, 5.0, 2.0, 3.0])
    assert np.allclose(curve[axis.times_s <= 2.0], 1.0)
    assert np.allclose(curve[axis.times_s >= 8.0], 3.0)


def test_a_baseline_is_the_mean_of_what_came_before_the_arrival() -> None:
    rise = baseline_matrix(np.array([0.0, 1.0, 2.0, 3.0]), 1.5) @ np.array([30.0, 34.0, 50.0, 40.0])
    assert np.allclose(rise, [-2.0, 2.0, 18.0, 8.0])


def test_without_an_image_before_the_arrival_the_first_is_the_baseline() -> None:
    rise = baseline_matrix(np.array([5.0, 6.0]), 1.5) @ np.array([30.0, 34.0])
    assert np.allclose(rise, [0.0, 4.0])


def test_a_constant_does_not_rise() -> None:
    times = np.arange(0.0, 20.0, 2.0)
    assert np.allclose(rise_matrix(times, 7.0, Axis.over(times[:, None], 0.5)).sum(axis=1), 0.0)


@pytest.mark.parametrize("arrival_s", [6.0, 10.0, 14.0])
def test_the_arrival_is_where_the_bolus_starts_to_rise(arrival_s: float) -> None:
    times = np.arange(0.0, 60.0, 0.5)
    found = arrival_of(artery_at(times, arrival_s=arrival_s), times, 0.1)
    assert found == pytest.approx(arrival_s + 1.0, abs=1.0)


def test_of_two_boluses_the_first_one_is_the_arrival() -> None:
    times = np.arange(0.0, 80.0, 0.5)
    twice = artery_at(times, arrival_s=10.0) + 1.5 * artery_at(times, arrival_s=45.0)
    assert arrival_of(twice, times, 0.1) == pytest.approx(11.0, abs=1.0)


@pytest.mark.parametrize("share", [0.6, 1.0, 1.5])
@pytest.mark.parametrize("second_s", [25.0, 40.0, 60.0])
def test_a_second_bolus_arrives_where_the_vessels_start_to_rise_again(
    second_s: float, share: float
) -> None:
    times = np.arange(0.0, 100.0, 0.5)
    twice = artery_at(times) + share * artery_at(times, arrival_s=10.0 + second_s)
    found = second_arrival_of(twice, times, 0.1)
    assert found == pytest.approx(11.0 + second_s, abs=1.0)


def single(times: np.ndarray) -> np.ndarray:
    return artery_at(times)


def with_a_strong_return(times: np.ndarray) -> np.ndarray:
    return artery_at(times) + 0.4 * artery_at(times, arrival_s=26.0)


def with_two_frames_of_jerk(times: np.ndarray) -> np.ndarray:
    return artery_at(times) + 200.0 * ((times >= 40.0) & (times < 43.0))


def with_a_step_that_stays(times: np.ndarray) -> np.ndarray:
    return artery_at(times) + 200.0 * (times >= 40.0)


def with_a_notch(times: np.ndarray) -> np.ndarray:
    return artery_at(times) - 160.0 * (np.abs(times - 14.5) < 0.6)


def with_noise(times: np.ndarray) -> np.ndarray:
    return artery_at(times) + np.random.default_rng(0).normal(0.0, 15.0, len(times))


@pytest.mark.parametrize(
    "curve",
    [
        single,
        with_a_strong_return,
        with_two_frames_of_jerk,
        with_a_step_that_stays,
        with_a_notch,
        with_noise,
    ],
)
def test_one_bolus_is_not_taken_for_two(curve: Callable[[np.ndarray], np.ndarray]) -> None:
    times = np.arange(0.0, 80.0, 0.5)
    assert second_arrival_of(curve(times), times, 0.1) is None


def test_a_test_bolus_before_the_great_one_belongs_to_the_baseline() -> None:
    times = np.arange(0.0, 100.0, 0.5)
    curve = 0.3 * artery_at(times) + artery_at(times, arrival_s=40.0)
    assert arrival_of(curve, times, 0.1) == pytest.approx(41.0, abs=1.0)
    assert second_arrival_of(curve, times, 0.1) is None
