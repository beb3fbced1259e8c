"""Rigid motion: measured, corrected, and not imagined."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from tests.unit.models.perfusion.block_phantom import frame_times, make_phantom
from willis_models.perfusion.binning import BinnedSeries, bin_series
from willis_models.perfusion.motion import MotionTrace, correct_motion
from willis_models.perfusion.parameters import DEFAULTS
from willis_models.volume import Array

MOVED = 7


@cache
def still_frames() -> BinnedSeries:
    times = frame_times(step_s=3.0, length_s=36.0, slices=10)
    phantom = make_phantom(times, pixels=96, noise_hu=3.0, step_mm=6.0)
    return bin_series(phantom.dynamic, 0.8)


def moved(shift_mm: tuple[float, float, float], turn_deg: float = 0.0) -> BinnedSeries:
    """One frame shifted (z, y, x) and turned in plane, which rows and columns can show."""
    series = still_frames()
    frames = series.frames.copy()
    turned = frames[MOVED]
    if turn_deg:
        turned = ndimage.rotate(turned, turn_deg, axes=(1, 2), reshape=False, order=1, cval=-1000.0)
    voxels = np.array(shift_mm) / np.array(series.spacing_mm)
    frames[MOVED] = ndimage.shift(turned, voxels, order=1, mode="nearest")
    return BinnedSeries(frames, series.times_s, series.geometry, series.factor)


def correct(series: BinnedSeries) -> MotionTrace:
    return correct_motion(series, DEFAULTS.motion)


def error_hu(frames: Array) -> float:
    """Against the frame as it was, away from the slab's ends."""
    inside = (slice(2, -2), slice(10, -10), slice(10, -10))
    return float(np.abs(frames[MOVED] - still_frames().frames[MOVED])[inside].mean())


def test_a_head_that_lies_still_is_left_alone() -> None:
    series = moved((0.0, 0.0, 0.0))
    before = series.frames.copy()
    trace = correct(series)
    assert not trace.corrected.any()
    assert trace.max_mm < 0.1
    assert np.array_equal(series.frames, before)


def test_passing_contrast_is_not_motion() -> None:
    times = frame_times(step_s=2.0, length_s=40.0, slices=6)
    strong = make_phantom(times, pixels=96, peak_hu=450.0)
    assert correct(bin_series(strong.dynamic, 0.8)).max_mm < 0.1


@pytest.mark.parametrize(
    "shift_mm", [(0.0, 0.0, 2.0), (0.0, -5.0, 3.0), (0.0, 9.0, -6.0), (4.0, 0.0, 0.0)]
)
def test_a_shift_is_measured_and_undone(shift_mm: tuple[float, float, float]) -> None:
    series = moved(shift_mm)
    before = error_hu(series.frames)
    trace = correct(series)
    assert trace.translation_mm[MOVED] == pytest.approx(np.linalg.norm(shift_mm), abs=0.25)
    assert trace.corrected.nonzero()[0].tolist() == [MOVED]
    assert trace.max_mm == trace.displacement_mm[MOVED]
    assert error_hu(series.frames) < 0.7 * before


def test_a_turn_is_measured_and_undone() -> None:
    series = moved((0.0, 0.0, 0.0), turn_deg=6.0)
    before = error_hu(series.frames)
    trace = correct(series)
    assert trace.rotation_deg[MOVED] == pytest.approx(6.0, abs=0.2)
    assert error_hu(series.frames) < 0.7 * before


def test_less_than_a_fraction_of_a_voxel_is_left_alone() -> None:
    series = moved((0.0, 0.1, 0.0))
    trace = correct(series)
    assert not trace.corrected.any()
    assert 0.02 < trace.displacement_mm[MOVED] < 0.25


def test_the_reference_is_a_frame_where_most_others_lie() -> None:
    assert correct(moved((0.0, 6.0, 0.0))).reference != MOVED


def test_a_turn_moves_the_head_even_where_its_centre_rests() -> None:
    trace = correct(moved((0.0, 0.0, 0.0), turn_deg=6.0))
    assert trace.displacement_mm[MOVED] > trace.translation_mm[MOVED] + 2.0


def test_the_trace_says_its_largest_displacement() -> None:
    still = np.zeros(3)
    trace = MotionTrace(still, still, np.array([0.0, 4.5, 1.0]), still > 0, 0, still[1:] > 0)
    assert trace.max_mm == 4.5


def test_the_moments_at_which_the_head_lay_elsewhere_are_told() -> None:
    jumps = correct(moved((0.0, 6.0, 0.0))).jumps
    assert list(np.flatnonzero(jumps)) == [MOVED - 1, MOVED]
    assert not correct(moved((0.0, 0.0, 0.0))).jumps.any()
