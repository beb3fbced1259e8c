"""Noise is measured, not presumed, and smoothing follows from it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from willis_models.perfusion.binning import BinnedSeries, Smoother, bin_series
from willis_models.perfusion.noise import choose_smoothing
from willis_models.perfusion.parameters import DEFAULTS
from willis_models.volume import Array, DynamicStack

LIMITS = DEFAULTS.noise
SHAPE = (2, 96, 96)
TISSUE = np.zeros(SHAPE, bool)
TISSUE[:, 10:-10, 10:-10] = True


def series(frames: Array, pixel_mm: float = 1.0) -> BinnedSeries:
    count = len(frames)
    return bin_series(
        DynamicStack(
            frames.astype(np.float32),
            np.arange(count, dtype=float)[:, None].repeat(SHAPE[0], axis=1),
            np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 5.0]]),
            np.array([pixel_mm, 0.0, 0.0]),
            np.array([0.0, pixel_mm, 0.0]),
        ),
        LIMITS.bin_below_mm,
    )


def noise(sd_hu: float, correlation: float = 0.0, frames: int = 16) -> Array:
    draw = np.random.default_rng(5).standard_normal((frames, *SHAPE))
    if correlation:
        draw = ndimage.gaussian_filter(draw, (0, 0, correlation, correlation))
        draw /= draw.std()
    return np.asarray(35.0 + sd_hu * draw)


@pytest.mark.parametrize("sd_hu", [0.5, 2.0, 5.0])
def test_the_noise_of_a_frame_is_found(sd_hu: float) -> None:
    found = choose_smoothing(series(noise(sd_hu)), TISSUE, LIMITS)
    assert found.before_hu == pytest.approx(sd_hu, rel=0.05)


def test_contrast_that_rises_slowly_is_not_noise() -> None:
    rise = 10.0 * np.exp(-0.5 * ((np.arange(16.0) - 8.0) / 3.0) ** 2)
    texture = np.random.default_rng(1).uniform(0.2, 1.0, SHAPE)
    frames = noise(1.0) + rise[:, None, None, None] * texture
    found = choose_smoothing(series(frames), TISSUE, LIMITS)
    assert found.before_hu == pytest.approx(1.0, rel=0.15)


def test_smoothing_brings_the_noise_to_the_target_and_no_further() -> None:
    measured = series(noise(2.0))
    found = choose_smoothing(measured, TISSUE, LIMITS)
    assert found.after_hu <= LIMITS.target_hu
    assert 0 < found.smoothing_mm < LIMITS.max_sigma_mm
    smoother = Smoother.within(TISSUE[0], found.smoothing_mm, (1.0, 1.0))
    left = smoother(measured.frames[:, 0])[:, TISSUE[0]].std()
    assert left == pytest.approx(found.after_hu, rel=0.15)


def test_correlated_noise_needs_a_wider_filter_than_white_noise() -> None:
    white = choose_smoothing(series(noise(1.0)), TISSUE, LIMITS)
    correlated = choose_smoothing(series(noise(1.0, correlation=1.0)), TISSUE, LIMITS)
    assert correlated.smoothing_mm > 1.5 * white.smoothing_mm


def test_smoothing_stops_at_its_limit_and_says_what_noise_is_left() -> None:
    found = choose_smoothing(series(noise(12.0)), TISSUE, LIMITS)
    assert found.smoothing_mm == LIMITS.max_sigma_mm
    assert found.after_hu > 0.5


def test_a_quiet_series_is_not_smoothed() -> None:
    found = choose_smoothing(series(noise(0.1)), TISSUE, LIMITS)
    assert found.smoothing_mm == 0.0
    assert found.binned_by == 1


def test_binning_is_told() -> None:
    found = choose_smoothing(series(noise(2.0), pixel_mm=0.45), TISSUE[:, ::2, ::2], LIMITS)
    assert found.binned_by == 2
    assert found.before_hu == pytest.approx(1.0, rel=0.05)
