"""A small labelled head, 1-mm voxels, so simple that every answer is known."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from willis_models.imaging.resample import grid_points, lps_grid
from willis_training.curation.heads import Head
from willis_training.curation.label_transfer import TransferQuality
from willis_training.simulation.anatomy import Anatomy
from willis_training.simulation.pathology import Stroke

QUALITY = TransferQuality(
    0.5, 0.6, 1.5, 0.0, 1.1, 0.02, 0.05, 0.8, 0.7, 0.7, 0.7, 0.3, tuple(range(20))
)
BRAIN_RADII_MM = np.array([26.0, 32.0, 26.0])
SHAPE = (80, 92, 80)
TO_MNI = 2.0
"""The head is half as large as MNI's."""


def _inside(points: NDArray[np.float64], radii: NDArray[np.float64]) -> NDArray[np.bool_]:
    return ((points / radii) ** 2).sum(axis=-1) <= 1.0


def _labels(points: NDArray[np.float64]) -> NDArray[np.uint16]:
    left = points[..., 0] > 0
    labels = np.zeros(points.shape[:-1], dtype=np.uint16)
    labels[_inside(points, BRAIN_RADII_MM + 6.5)] = 511
    labels[_inside(points, BRAIN_RADII_MM + 5.0)] = 515
    labels[_inside(points, BRAIN_RADII_MM + 2.0)] = 24
    for radii, on_left, on_right in (
        (BRAIN_RADII_MM, 3, 42),
        (BRAIN_RADII_MM - 6.0, 2, 41),
        (np.array([5.0, 12.0, 6.0]), 4, 43),
    ):
        here = _inside(points, radii)
        labels[here & left], labels[here & ~left] = on_left, on_right
    return labels


def _regions(points: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Ten boxes a side: five from front to back on each of two levels, 6 mm off the midline."""
    x, y, z = np.moveaxis(points, -1, 0)
    column = np.clip(np.floor((y + 25.0) / 10.0), 0, 4)
    number = 1 + column + 5 * (z > 0)
    number = np.where(x > 0, number, number + 10)
    return np.where((np.abs(x) > 6.0) & (np.abs(z) < 20.0), number, 0).astype(np.uint8)


@cache
def anatomy(name: str = "head_01") -> Anatomy:
    """The head; its name decides its part of the split."""
    grid = lps_grid(SHAPE, 1.0, (-39.5, -45.5, -39.5))
    points = grid_points(grid)
    mni = (points[::2, ::2, ::2] * TO_MNI).astype(np.float32)
    regions = _regions(points)
    return Anatomy(Head(name, _labels(points), grid.affine_lps, regions, regions, mni, QUALITY))


def coarse_points() -> NDArray[np.float64]:
    """World position of the coarse voxels."""
    head = anatomy()
    return grid_points(head.grid)[::2, ::2, ::2]


def left_stroke(drop_hu: float = 6.0) -> Stroke:
    """An infarct of the whole left hemisphere but 4 mm at the midline."""
    mask = (coarse_points()[..., 0] > 4.0).astype(np.float32)
    return Stroke(mask, drop_hu)
