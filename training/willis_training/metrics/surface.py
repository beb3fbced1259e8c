"""Distances between the surfaces of two masks, in mm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from willis_training.metrics.overlap import same_shape

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class SurfaceDistances:
    """How far two surfaces lie apart.

    ``mean_mm`` over both surfaces' voxels; ``hd95_mm`` the larger of the two directed 95th
    percentiles; ``nsd`` the share of both surfaces within ``tolerance_mm`` of the other (surface
    Dice). Both masks empty: 0, 0, 1. One empty: infinite, infinite, 0.
    """

    mean_mm: float
    hd95_mm: float
    nsd: float
    tolerance_mm: float


def surface_distances_mm(
    found: NDArray[Any],
    truth: NDArray[Any],
    spacing_mm: Sequence[float],
    tolerance_mm: float = 1.0,
) -> SurfaceDistances:
    """Distances of the surfaces of two masks on voxels of ``spacing_mm`` (z, y, x).

    A surface is the voxels of a mask that have one of their six neighbours outside it.
    """
    same_shape(found, truth)
    a, b = found > 0, truth > 0
    if not a.any() and not b.any():
        return SurfaceDistances(0.0, 0.0, 1.0, tolerance_mm)
    if not a.any() or not b.any():
        return SurfaceDistances(float("inf"), float("inf"), 0.0, tolerance_mm)
    # Nothing outside both masks' common box can be nearest: cutting to it is exact and much faster.
    box = ndimage.find_objects((a | b).astype(np.uint8))[0]
    first, second = _surface(a[box]), _surface(b[box])
    there = _distance_to(second, spacing_mm)[first]
    back = _distance_to(first, spacing_mm)[second]
    all_of_them = np.concatenate([there, back])
    return SurfaceDistances(
        mean_mm=float(all_of_them.mean()),
        hd95_mm=float(max(np.percentile(there, 95), np.percentile(back, 95))),
        nsd=float((all_of_them <= tolerance_mm).mean()),
        tolerance_mm=tolerance_mm,
    )


def _surface(mask: Mask) -> Mask:
    return np.asarray(mask & ~ndimage.binary_erosion(mask))


def _distance_to(surface: Mask, spacing_mm: Sequence[float]) -> NDArray[np.float64]:
    return np.asarray(ndimage.distance_transform_edt(~surface, sampling=tuple(spacing_mm)))
