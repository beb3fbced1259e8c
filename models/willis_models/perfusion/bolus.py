"""The passage of a bolus: where it is seen, how the vessels rise, and whether a second one came."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from willis_models.errors import NoBolus
from willis_models.imaging.components import Mask
from willis_models.perfusion.binning import BinnedSeries
from willis_models.perfusion.sampling import Axis
from willis_models.volume import Array, Floats

_AT_START, _AT_END = 2, 3
_LOW_AT_START, _LOW_AT_END = 0.3, 0.6
_HIGH, _HIGH_FOR_S = 0.8, 12.0
_PAUSE_S = 10.0
_AGAIN = 0.3
_MOSTLY, _OFTEN = 0.4, 0.25


def passes(series: BinnedSeries) -> Mask:
    """Voxels (z, y, x) in which contrast agent comes and goes: low at both ends, high for seconds.

    Where bone moved a little, a step remains at its edge that is as high as a vessel's curve, but
    it stays, was there from the first image, or holds its height until the head moves again.
    """
    low, high = series.frames.min(axis=0), series.frames.max(axis=0)
    span = np.maximum(high - low, 1e-3)
    first = (series.frames[:_AT_START].mean(axis=0) - low) / span
    last = (series.frames[-_AT_END:].mean(axis=0) - low) / span
    step_s = float(np.median(np.diff(series.times_s, axis=0)))
    high_s = (series.frames > low + _HIGH * span).sum(axis=0) * step_s
    return np.asarray((first < _LOW_AT_START) & (last < _LOW_AT_END) & (high_s < _HIGH_FOR_S))


def follows_head(series: BinnedSeries, jumps: Array) -> Mask:
    """Voxels (z, y, x) that change when the head moves rather than when contrast agent passes.

    Alignment leaves the edges of bone and of the slab different in each position of the head. Back
    in the first position such a voxel has risen and fallen as an artery does, only higher. Where
    the head moves all the time nothing can be told from the moments, and none is named.
    """
    total = np.zeros(series.frames.shape[1:], np.float32)
    at_jumps = np.zeros_like(total)
    if jumps.any() and jumps.mean() <= _OFTEN:
        for (before, after), jumped in zip(pairwise(series.frames), jumps, strict=True):
            change = np.abs(after - before)
            total += change
            at_jumps += change if jumped else 0.0
    return np.asarray(at_jumps > _MOSTLY * total)


def bolus_of(series: BinnedSeries, brain: Mask, axis: Axis, share: float) -> Floats:
    """Mean curve (n,) of the brain's voxels that change most over time: its vessels.

    Raises NoBolus where there is no brain.
    """
    if not brain.any():
        raise NoBolus("No brain was found in the series.")
    change = np.where(brain, _change(series), -1.0).ravel()
    most = np.argpartition(-change, count := max(1, int(brain.sum() * share)))[:count]
    strong = np.zeros(brain.shape, bool)
    strong.ravel()[most] = True
    total = np.zeros(len(axis.times_s))
    for z in np.flatnonzero(strong.any(axis=(1, 2))):
        samples = series.frames[:, z][:, strong[z]]
        times = series.times_s[:, z]
        total += np.interp(axis.times_s, times, samples.sum(axis=1, dtype=np.float64))
    return total / count


def _change(series: BinnedSeries) -> Array:
    """Standard deviation over time of each voxel."""
    count = np.float32(len(series.frames))
    mean = series.frames.mean(axis=0)
    squares = np.zeros_like(mean)
    for frame in series.frames:
        squares += (frame - mean) ** 2
    return np.asarray(np.sqrt(squares / count))


def tissue_rises_again(
    series: BinnedSeries, brain: Mask, arrival_s: float, second_s: float
) -> bool:
    """Whether the brain enhances with a second bolus: a jerk of the head shows at edges only."""
    curve = np.array([np.median(frame[brain]) for frame in series.frames])
    times = series.times_s.mean(axis=1)
    first, again = (arrival_s <= times) & (times < second_s), times >= second_s
    rises = [
        float(curve[part].max() - curve[part][0]) if part.any() else 0.0 for part in (first, again)
    ]
    return rises[1] > _AGAIN * max(rises[0], 0.0)


def before_second(series: BinnedSeries, arrival_s: float, second_s: float) -> BinnedSeries:
    """The frames before a second bolus, and before a pause of the scan ahead of it."""
    times = series.times_s
    kept = int((times.max(axis=1) < second_s).sum())
    pauses = (np.diff(times, axis=0).max(axis=1) > _PAUSE_S) & (times[1:].min(axis=1) > arrival_s)
    kept = min(kept, *(np.flatnonzero(pauses) + 1), len(times))
    return replace(series, frames=series.frames[:kept], times_s=times[:kept])
