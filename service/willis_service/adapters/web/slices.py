"""Which slices of a stack are worth showing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]

_LEAST_TISSUE = 0.25
"""Slices with less tissue than this share of the largest one are the ends of the scan."""


def informative_slices(tissue: Counts, lesion: Counts, count: int) -> list[int]:
    """At most ``count`` slices in rising order, evenly over what there is to see.

    ``tissue`` and ``lesion`` are voxels a slice. Where there is a lesion, the slices are those that
    it reaches, with its largest one among them; without, those that hold the most tissue.
    """
    worth = np.flatnonzero(tissue >= _LEAST_TISSUE * max(int(tissue.max()), 1))
    if len(worth) == 0:
        worth = np.arange(len(tissue))
    first, last = int(worth[0]), int(worth[-1])
    if lesion.any():
        reached = np.flatnonzero(lesion)
        first, last = _widened(int(reached[0]), int(reached[-1]), len(tissue), count)
    chosen = sorted({round(at) for at in np.linspace(first, last, min(count, last - first + 1))})
    if lesion.any() and (largest := int(lesion.argmax())) not in chosen:
        nearest = min(chosen, key=lambda k: abs(k - largest))
        chosen = sorted({*chosen, largest} - {nearest})
    return chosen


def _widened(first: int, last: int, size: int, count: int) -> tuple[int, int]:
    """At least ``count`` slices about a range, as far as there are any."""
    missing = max(count - (last - first + 1), 0)
    low = max(first - (missing + 1) // 2, 0)
    high = min(low + max(count, last - first + 1) - 1, size - 1)
    return max(min(low, high - count + 1), 0), max(high, last)
