"""Enhancement of the binned series: areas, peaks, and the curves of chosen voxels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from willis_models.errors import NoBolus
from willis_models.imaging.components import Mask
from willis_models.perfusion.binning import BinnedSeries
from willis_models.perfusion.bolus import (
    before_second,
    bolus_of,
    follows_head,
    passes,
    tissue_rises_again,
)
from willis_models.perfusion.parameters import VesselParameters
from willis_models.perfusion.sampling import (
    Axis,
    arrival_of,
    rise_matrix,
    second_arrival_of,
)
from willis_models.volume import Array, Floats


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
    bolus = bolus_of(series, seen, axis, parameters.bolus_share)
    height = float(bolus.max() - np.median(bolus[: max(3, len(bolus) // 20)]))
    if height < max(parameters.min_bolus_hu, parameters.min_bolus_to_noise * noise_hu):
        raise NoBolus(
            f"No bolus of contrast agent is seen: the brain's vessels rise by {height:.0f} HU."
        )
    arrival_s = arrival_of(bolus, axis.times_s, parameters.arrival_share)
    second_s = second_arrival_of(bolus, axis.times_s, parameters.arrival_share)
    if second_s is not None and tissue_rises_again(series, brain, arrival_s, second_s):
        first = before_second(series, arrival_s, second_s)
        return replace(
            enhancement_of(first, brain, step_s, noise_hu, parameters, jumps), second_s=second_s
        )
    rise = _by_slice(series.times_s, arrival_s, axis)
    weights = np.stack([matrix.sum(axis=0) * step_s for matrix in rise], axis=1)
    area = np.einsum("tz,tzyx->zyx", weights.astype(np.float32), series.frames)
    peaks = _peaks(series, arrival_s)
    return Enhancement(series, axis, arrival_s, bolus, rise, area, peaks, passing)


def _by_slice(times_s: Floats, arrival_s: float, axis: Axis) -> tuple[Floats, ...]:
    """One matrix a slice; slices scanned at the same times share theirs."""
    known: dict[bytes, Floats] = {}
    for column in times_s.T:
        key = np.ascontiguousarray(column).tobytes()
        if key not in known:
            known[key] = rise_matrix(column, arrival_s, axis)
    return tuple(known[np.ascontiguousarray(column).tobytes()] for column in times_s.T)


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


def baseline_of(series: BinnedSeries, arrival_s: float) -> Array:
    """Mean image (z, y, x) of the frames before the arrival; the first one where there is none."""
    before = series.times_s < arrival_s
    before[0] |= ~before.any(axis=0)
    weights = (before / before.sum(axis=0)).astype(np.float32)
    return np.asarray(np.einsum("tz,tzyx->zyx", weights, series.frames))
