"""The form of a region: swelling and atrophy change it, and so does a bad outline."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Spacing = tuple[float, float, float]

SHAPE = ("volume_ml", "sphericity", "elongation", "flatness")


def shape_of(mask: Mask, spacing_mm: Spacing) -> dict[str, float]:
    """Volume, sphericity (1 for a ball), elongation and flatness (1 for equal axes).

    The surface is that of the voxels' faces times 2/3, the mean ratio of a smooth surface to its
    staircase. Axes are square roots of the eigenvalues of the coordinates' covariance. ``mask``
    must hold a voxel.
    """
    volume_mm3 = float(mask.sum() * np.prod(spacing_mm))
    surface_mm2 = faces_mm2(mask, spacing_mm) * 2.0 / 3.0
    longest, middle, shortest = _axes(mask, spacing_mm)
    return {
        "volume_ml": volume_mm3 / 1000.0,
        "sphericity": float((36.0 * np.pi * volume_mm3**2) ** (1 / 3) / surface_mm2),
        "elongation": middle / longest if longest > 0 else 1.0,
        "flatness": shortest / longest if longest > 0 else 1.0,
    }


def faces_mm2(mask: Mask, spacing_mm: Spacing) -> float:
    """Area of all voxel faces between the mask and the outside."""
    padded = np.pad(mask, 1).astype(np.int8)
    area = 0.0
    for axis in range(3):
        face = float(np.prod(spacing_mm)) / spacing_mm[axis]
        area += face * float(np.abs(np.diff(padded, axis=axis)).sum())
    return area


def _axes(mask: Mask, spacing_mm: Spacing) -> tuple[float, float, float]:
    points = np.argwhere(mask) * np.array(spacing_mm)
    centred = points - points.mean(axis=0)
    values = np.linalg.eigvalsh(centred.T @ centred / len(points))
    shortest, middle, longest = np.sqrt(np.maximum(values, 0.0))
    return float(longest), float(middle), float(shortest)
