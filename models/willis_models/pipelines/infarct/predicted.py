"""The predicted infarct: from the network's lattice to the native slices, with its uncertainty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from willis_models.findings import Interval
from willis_models.imaging.components import Mask
from willis_models.imaging.parts import without_small_parts
from willis_models.pipelines.infarct.parameters import PredictionParameters, VolumeInterval
from willis_models.pipelines.infarct.prepare import OnGrid
from willis_models.volume import Grid, SliceStack

_EDGE = 1e-6


@dataclass(frozen=True)
class Predicted:
    """The predicted infarct on the native slices: calibrated probability and mask (z, y, x)."""

    probability: NDArray[np.float32]
    mask: Mask


def predict_native(
    probability: NDArray[np.float32],
    context: OnGrid,
    threshold: float,
    parameters: PredictionParameters,
) -> Predicted:
    """The network's probability (z, y, x) calibrated, on the native slices, and its mask.

    ``threshold`` is on the calibrated probability.
    """
    measured = context.measured
    calibrated = calibrate(probability, parameters.temperature, parameters.offset)
    native = _onto(calibrated, context.grid, measured.stack, measured.brain)
    mask = without_small_parts(native > threshold, measured.stack, parameters.min_component_ml)
    return Predicted(native, mask)


def calibrate(
    probability: NDArray[np.float32], temperature: float, offset: float = 0.0
) -> NDArray[np.float32]:
    """The logit divided by the temperature, plus an offset (Platt 1999; Guo et al. 2017)."""
    p = np.clip(probability.astype(np.float64), _EDGE, 1 - _EDGE)
    logit = np.log(p / (1 - p)) / temperature + offset
    return (1 / (1 + np.exp(-logit))).astype(np.float32)


def interval_around(volume_ml: float, rule: VolumeInterval) -> Interval:
    """Where the true volume lies in ``coverage`` of the cases, mL."""
    root, width = float(np.sqrt(volume_ml)), rule.quantile_sqrt_ml
    low, high = max(root - width, 0.0) ** 2, (root + width) ** 2
    return Interval(
        low=round(low, 1), high=round(high, 1), coverage=rule.coverage, basis=rule.basis
    )


def _onto(
    probability: NDArray[np.float32], grid: Grid, stack: SliceStack, brain: Mask
) -> NDArray[np.float32]:
    """A lattice's values at the voxels of the brain, 0 elsewhere."""
    native = np.zeros(stack.shape, np.float32)
    index = np.argwhere(brain)
    where = grid.to_index(stack.to_world(index.astype(np.float64))).T
    native[tuple(index.T)] = ndimage.map_coordinates(
        probability, where, output=np.float32, order=1, mode="constant", cval=0.0
    )
    return native
