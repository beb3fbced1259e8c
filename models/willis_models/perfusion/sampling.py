"""From the times at which slices were scanned to one common axis, as matrices over the samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import make_interp_spline

from willis_models.volume import Array, Floats

_FALLEN = 0.4
_SHORTEST_S, _LONGEST_S = 3.5, 30.0
"""How long a bolus keeps a vessel over half of its peak."""


@dataclass(frozen=True)
class Axis:
    """Regular times from the first image of the series to the last, ``step_s`` apart."""

    times_s: Floats
    step_s: float

    @staticmethod
    def over(times_s: Floats, step_s: float) -> Axis:
        """The axis that covers the times (t, z) of all slices."""
        count = int(np.floor((times_s.max() - times_s.min()) / step_s + 1e-6)) + 1
        return Axis(times_s.min() + step_s * np.arange(count), step_s)


def interpolation_matrix(times_s: Floats, axis: Axis) -> Floats:
    """(n, t): cubic spline through the samples of one slice, constant beyond its ends.

    A straight line between samples would cut the bolus's peak where sampling is coarse.
    """
    inside = np.clip(axis.times_s, times_s[0], times_s[-1])
    degree = min(3, len(times_s) - 1)
    spline = make_interp_spline(times_s, np.eye(len(times_s)), k=degree)
    return np.asarray(spline(inside))


def baseline_matrix(times_s: Floats, arrival_s: float) -> Floats:
    """(t, t): takes samples to their rise over the mean of the images before the arrival.

    Where no image was scanned before it, the first one serves.
    """
    before = times_s < arrival_s
    if not before.any():
        before[0] = True
    return np.asarray(np.eye(len(times_s)) - (before / before.sum())[None, :])


def rise_matrix(times_s: Floats, arrival_s: float, axis: Axis) -> Floats:
    """(n, t): samples of one slice to enhancement on the common axis."""
    return interpolation_matrix(times_s, axis) @ baseline_matrix(times_s, arrival_s)


def arrival_of(curve: Array, times_s: Array, share: float) -> float:
    """When a bolus curve last lay under a share of its rise before its first peak, in seconds.

    The rise counts from the lowest value before the peak. Of several boluses the first counts that
    is half as high as the highest: what comes before it is the baseline.
    """
    first = _high_runs(curve)[0]
    peak = first.start + int(np.argmax(curve[first]))
    return float(times_s[_last_low(curve[: peak + 1], share)])


def second_arrival_of(curve: Array, times_s: Array, share: float) -> float | None:
    """The same for a second bolus; None where there is one only.

    It is one where the curve had fallen well below both peaks and is then high again for as long
    as a bolus takes: noise and jerks of the head are shorter, a head that stays elsewhere longer.
    """
    first, *later = _high_runs(curve)
    peak_hu = float(curve[first].max())
    floor_hu = float(curve[: first.stop].min())
    for run in later:
        top = run.start + int(np.argmax(curve[run]))
        trough = first.stop + int(np.argmin(curve[first.stop : run.start]))
        fallen_hu = floor_hu + _FALLEN * (min(peak_hu, float(curve[top])) - floor_hu)
        lasts_s = float(times_s[run.stop - 1] - times_s[run.start])
        if curve[trough] <= fallen_hu and _SHORTEST_S <= lasts_s <= _LONGEST_S:
            return float(times_s[trough + _last_low(curve[trough : top + 1], share)])
    return None


def _high_runs(curve: Array) -> list[slice]:
    """Where a curve is over the middle between its lowest and its highest value, in order."""
    high = np.r_[False, curve >= (float(curve.max()) + float(curve.min())) / 2, False]
    edges = np.flatnonzero(np.diff(high))
    return [slice(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _last_low(rising: Array, share: float) -> int:
    """The last sample under a share of the rise from the lowest value to the last."""
    floor = float(rising.min())
    return int(np.flatnonzero(rising <= floor + share * (float(rising[-1]) - floor))[-1])
