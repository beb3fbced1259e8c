"""How noisy the curves are, and how wide a Gaussian makes them quiet enough.

Deconvolution turns noise into flow and delay: at 2 HU a normal white matter reads as lost. What
counts is the noise of a curve from frame to frame, so it is read from second differences in time,
which a slow passage of contrast hardly moves, and after smoothing it is measured again: the noise
of a CT image is correlated, and white noise would promise too much.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from willis_models.imaging.components import Mask
from willis_models.perfusion.binning import BinnedSeries, Smoother, bounding_box
from willis_models.perfusion.parameters import NoiseParameters
from willis_models.volume import Array

_SLICES_LOOKED_AT = 5
_SECOND_DIFFERENCE_SD = float(np.sqrt(6.0))
_MAD_TO_SD = 1.4826


@dataclass(frozen=True)
class Noise:
    """Standard deviation of a voxel of tissue over time, HU.

    ``before_hu`` on the binned pixels, ``after_hu`` after smoothing in plane with a Gaussian of
    ``smoothing_mm`` (sigma; the full width at half maximum is 2.355 times that); ``binned_by``
    native pixels a side were averaged before.
    """

    before_hu: float
    after_hu: float
    smoothing_mm: float
    binned_by: int

    @property
    def smoothing_fwhm_mm(self) -> float:
        """Full width at half maximum of the Gaussian."""
        return 2.355 * self.smoothing_mm


def choose_smoothing(series: BinnedSeries, tissue: Mask, parameters: NoiseParameters) -> Noise:
    """The narrowest Gaussian that brings the noise to the target, or the widest allowed."""
    samples = [_difference_images(series, tissue, z) for z in _largest_slices(tissue)]
    before = _noise_hu(samples, 0.0, series.pixel_mm)
    sigma, after = 0.0, before
    while after > parameters.target_hu and sigma < parameters.max_sigma_mm:
        sigma = min(sigma + parameters.sigma_step_mm, parameters.max_sigma_mm)
        after = _noise_hu(samples, sigma, series.pixel_mm)
    return Noise(before, after, sigma, series.factor)


def _largest_slices(tissue: Mask) -> list[int]:
    """The slices with most tissue."""
    areas = tissue.sum(axis=(1, 2))
    return [int(z) for z in np.argsort(-areas, kind="stable")[:_SLICES_LOOKED_AT] if areas[z]]


def _difference_images(series: BinnedSeries, tissue: Mask, z: int) -> tuple[Array, Mask]:
    """Second differences in time, cropped to the tissue, scaled to the noise of one frame."""
    rows, columns = bounding_box(tissue[z])
    frames = series.frames[:, z, rows, columns]
    count = len(frames)
    middle = np.unique(np.linspace(1, count - 2, min(8, max(count - 2, 1))).astype(int))
    if count < 3:
        return (frames[-1:] - frames[:1]) / np.float32(np.sqrt(2.0)), tissue[z, rows, columns]
    second = frames[middle - 1] - 2 * frames[middle] + frames[middle + 1]
    return second / np.float32(_SECOND_DIFFERENCE_SD), tissue[z, rows, columns]


def _noise_hu(
    samples: list[tuple[Array, Mask]], sigma_mm: float, pixel_mm: tuple[float, float]
) -> float:
    """Median over frames and slices, so that a few frames of steep rise don't count."""
    found = []
    for images, mask in samples:
        smooth = Smoother.within(mask, sigma_mm, pixel_mm)(images)[:, mask]
        spread = np.abs(smooth - np.median(smooth, axis=1, keepdims=True))
        found.append(_MAD_TO_SD * np.median(spread, axis=1))
    return float(np.median(np.concatenate(found))) if found else 0.0
