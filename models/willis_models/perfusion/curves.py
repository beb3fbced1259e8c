"""Enhancement of the binned series: areas, peaks, and the curves of chosen voxels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from willis_models.errors import NoBolus
from willis_models.imaging.components import Mask
from willis_models.perfusion.binning import BinnedSeries
from willis_models.perfusion.parameters import VesselParameters
from willis_models.perfusion.sampling import (
    Axis,
    arrival_of,
    rise_matrix,
    second_arrival_of,
)
from willis_models.volume import Array, Floats

_AT_START, _AT_END = 2, 3
_LOW_AT_START, _LOW_AT_END = 0.3, 0.6
_HIGH, _HIGH_FOR_S = 0.8, 12.0
_PAUSE_S = 10.0
_AGAIN = 0.3
_MOSTLY, _OFTEN = 0.4, 0.25


@dataclass(frozen=True)
class Curves:
    """Curves (voxels, n) over ``times_s`` (n,)."""

    values: Array
    times_s: Floats

    def __getitem__(self, chosen: Array) -> Curves:
        return Curves(self.values[chosen], self.times_s)


@dataclass(frozen=True)
class Enhancement:
    """What the contrast agent adds to each binned voxel.

    ``series`` is what was scanned of the first bolus: all of it, unless a second one came.
    ``arrival_s`` of the bolus in the brain's vessels; ``area`` (z, y, x) under the curve, HU s;
    ``peak`` (z, y, x) mean of the three highest samples over the baseline, HU; ``rise`` the matrix
    (n, t) of each slice from its samples to the common axis; ``passing`` where something comes and
    goes again (see `passes`); ``second_s`` the arrival of a second bolus, None without one.
    """

    series: BinnedSeries
    axis: Axis
    arrival_s: float
    bolus: Floats
    rise: tuple[Floats, ...]
    area: Array
    peak: Array
    passing: Mask
    second_s: float | None = None

    def curves_at(self, places: Array) -> Curves:
        """Enhancement curves of voxels (voxels, 3) on the common axis."""
        values = np.empty((len(places), len(self.axis.times_s)), np.float32)
        for z in np.unique(places[:, 0]):
            here = places[:, 0] == z
            rows, columns = places[here, 1], places[here, 2]
            samples = self.series.frames[:, z, rows, columns]
            values[here] = (self.rise[z].astype(np.float32) @ samples).T
        return Curves(values, self.axis.times_s)


def enhancement_of(
    series: BinnedSeries,
    brain: Mask,
    step_s: float,
    noise_hu: float,
    parameters: VesselParameters,
    jumps: Array | None = None,
) -> Enhancement:
    """Find the bolus and measure what it adds. Raises NoBolus where none is seen.

    Of two boluses the first is measured, on the frames before the second. Taken as one input they
    would leave gaps in its spectrum, and flow would read a third lower.
    ``jumps`` (t - 1,) says between which frames the head moved (`MotionTrace.jumps`).
    """
    axis = Axis.over(series.times_s, step_s)
    passing = passes(series)
    if jumps is not None:
        passing &= ~follows_head(series, jumps[: len(series.frames) - 1])
    seen = brain & passing if (brain & passing).any() else brain
    bolus = _bolus(series, seen, axis, parameters.bolus_share)
    height = float(bolus.max() - np.median(bolus[: max(3, len(bolus) // 20)]))
    if height < max(parameters.min_bolus_hu, parameters.min_bolus_to_noise * noise_hu):
        raise NoBolus(
            f"No bolus of contrast agent is seen: the brain's vessels rise by {height:.0f} HU."
        )
    arrival_s = arrival_of(bolus, axis.times_s, parameters.arrival_share)
    second_s = second_arrival_of(bolus, axis.times_s, parameters.arrival_share)
    if second_s is not None and _tissue_rises_again(series, brain, arrival_s, second_s):
        first = _between(series, arrival_s, second_s)
        return replace(
            enhancement_of(first, brain, step_s, noise_hu, parameters, jumps), second_s=second_s
        )
    rise = _by_slice(series.times_s, arrival_s, axis)
    weights = np.stack([matrix.sum(axis=0) * step_s for matrix in rise], axis=1)
    area = np.einsum("tz,tzyx->zyx", weights.astype(np.float32), series.frames)
    peaks = _peaks(series, arrival_s)
    return Enhancement(series, axis, arrival_s, bolus, rise, area, peaks, passing)


def _tissue_rises_again(
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


def _between(series: BinnedSeries, arrival_s: float, second_s: float) -> BinnedSeries:
    """The frames before a second bolus, and before a pause of the scan ahead of it."""
    times = series.times_s
    kept = int((times.max(axis=1) < second_s).sum())
    pauses = (np.diff(times, axis=0).max(axis=1) > _PAUSE_S) & (times[1:].min(axis=1) > arrival_s)
    kept = min(kept, *(np.flatnonzero(pauses) + 1), len(times))
    return replace(series, frames=series.frames[:kept], times_s=times[:kept])


def _by_slice(times_s: Floats, arrival_s: float, axis: Axis) -> tuple[Floats, ...]:
    """One matrix a slice; slices scanned at the same times share theirs."""
    known: dict[bytes, Floats] = {}
    for column in times_s.T:
        key = np.ascontiguousarray(column).tobytes()
        if key not in known:
            known[key] = rise_matrix(column, arrival_s, axis)
    return tuple(known[np.ascontiguousarray(column).tobytes()] for column in times_s.T)


def _bolus(series: BinnedSeries, brain: Mask, axis: Axis, share: float) -> Floats:
    """Mean curve (n,) of the brain's voxels that change most over time: its vessels."""
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


def _peaks(series: BinnedSeries, arrival_s: float) -> Array:
    """Mean of the three highest samples of each voxel over its baseline: one is mostly noise."""
    top = [np.full(series.frames.shape[1:], -np.inf, np.float32) for _ in range(3)]
    for frame in series.frames:
        rest = frame
        for level in range(3):
            higher = np.maximum(top[level], rest)
            rest = np.minimum(top[level], rest)
            top[level] = higher
    return np.asarray(sum(top) / np.float32(3.0) - baseline_of(series, arrival_s))


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


def baseline_of(series: BinnedSeries, arrival_s: float) -> Array:
    """Mean image (z, y, x) of the frames before the arrival; the first one where there is none."""
    before = series.times_s < arrival_s
    before[0] |= ~before.any(axis=0)
    weights = (before / before.sum(axis=0)).astype(np.float32)
    return np.asarray(np.einsum("tz,tzyx->zyx", weights, series.frames))
