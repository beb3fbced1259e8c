"""From the times at which slices were scanned to one common axis, as matrices over the samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import make_interp_spline

from willis_models.volume import Array, Floats


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

    The rise counts from the lowest value before the peak. Of several boluses the first counts:
    what comes before it is the baseline.
    """
    high = curve >= (float(curve.max()) + float(curve.min())) / 2
    start = int(high.argmax())
    falls = np.flatnonzero(~high[start:])
    peak = start + int(np.argmax(curve[start : start + falls[0]] if len(falls) else curve[start:]))
    floor = float(np.min(curve[: peak + 1]))
    low = np.flatnonzero(curve[: peak + 1] <= floor + share * (curve[peak] - floor))
    return float(times_s[low[-1]])
