"""Which voxels of the brain count: CSF, calcification, blood and old infarct are left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from willis_models.imaging.components import Mask
from willis_models.pipelines.aspects.parameters import TissueParameters


@dataclass(frozen=True)
class Tissue:
    """Masks on the network's grid, disjoint within the brain."""

    counted: Mask
    csf: Mask
    calcification: Mask
    old_infarct: Mask


def classify(
    hu: NDArray[np.float32],
    brain: Mask,
    covered: Mask,
    regions: Mask,
    voxel_ml: float,
    limits: TissueParameters,
) -> Tissue:
    """Split the brain's voxels; ``regions`` is where any region lies (old infarcts count there)."""
    inside = brain & covered
    dense = inside & (hu > limits.calcification_above_hu)
    dense = ndimage.binary_dilation(dense) & inside & (hu > limits.calcification_above_hu - 15.0)
    old = old_infarct(hu, inside & regions, voxel_ml, limits)
    csf = inside & (hu < limits.csf_below_hu) & ~old
    return Tissue(inside & ~dense & ~old & ~csf, csf, dense, old)


def old_infarct(
    hu: NDArray[np.float32], inside: Mask, voxel_ml: float, limits: TissueParameters
) -> Mask:
    """Bulky CSF-like lesions: low voxels that survive an opening, in pieces of a least volume.

    Sulci are thinner than the opening; ventricles are not part of any region.
    """
    low = inside & (hu < limits.old_infarct_below_hu)
    core = ndimage.binary_opening(low, ndimage.generate_binary_structure(3, 2))
    labels, count = ndimage.label(core)
    if count == 0:
        return np.zeros_like(inside)
    sizes_ml = np.bincount(labels.ravel()) * voxel_ml
    sizes_ml[0] = 0.0
    large = sizes_ml >= limits.old_infarct_min_ml
    grown = ndimage.binary_dilation(large[labels], iterations=1)
    return np.asarray(grown & low)


def smooth_within(
    hu: NDArray[np.float32], counted: Mask, sigma_voxels: float
) -> NDArray[np.float32]:
    """Gaussian smoothing that only voxels that count take part in; NaN where none is near."""
    weight = ndimage.gaussian_filter(counted.astype(np.float32), sigma_voxels)
    total = ndimage.gaussian_filter(np.where(counted, hu, 0.0).astype(np.float32), sigma_voxels)
    return np.where(weight > 0.05, total / np.maximum(weight, 1e-6), np.nan).astype(np.float32)
