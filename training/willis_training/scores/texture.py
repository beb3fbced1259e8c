"""What a region's voxels look like beyond their mean: first-order, co-occurrence, local patterns.

All functions take HU on the network grid and a mask of the voxels that count, (z, y, x). The
first-order and co-occurrence features follow the Image Biomarker Standardisation Initiative
(arXiv:1612.07003). Co-occurrence (Haralick 1973) and local binary patterns (Ojala 2002) are taken
within axial slices, because slices are up to 8 mm thick and the grid's third axis interpolates.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, stats
from skimage.feature import graycomatrix, graycoprops, local_binary_pattern

HuImage = NDArray[np.float32]
Mask = NDArray[np.bool_]

LOW_HU, HIGH_HU, LEVELS = 10.0, 60.0, 16
ANGLES = (0.0, np.pi / 4, np.pi / 2, 3 * np.pi / 4)
PATTERN_POINTS, PATTERN_RADIUS = 8, 1.0

FIRST_ORDER = ("sd_hu", "skewness", "kurtosis", "entropy_bits", "interquartile_range_hu")
CO_OCCURRENCE = ("contrast", "homogeneity", "energy", "correlation", "entropy_bits")


def first_order(values_hu: HuImage) -> dict[str, float]:
    """Spread and shape of the histogram of at least two voxels (n,)."""
    values = values_hu.astype(np.float64)
    lower, upper = np.quantile(values, [0.25, 0.75])
    is_flat = bool(np.ptp(values) == 0.0)
    return {
        "sd_hu": float(values.std()),
        "skewness": 0.0 if is_flat else float(stats.skew(values)),
        "kurtosis": 0.0 if is_flat else float(stats.kurtosis(values)),
        "entropy_bits": entropy_bits(np.bincount(grey_levels(values), minlength=LEVELS + 1)[1:]),
        "interquartile_range_hu": float(upper - lower),
    }


def grey_levels(hu: NDArray[Any]) -> NDArray[np.uint8]:
    """HU in ``LEVELS`` equal bins, 1 to LEVELS; 0 is kept for what does not count."""
    scaled = (hu - LOW_HU) / (HIGH_HU - LOW_HU) * LEVELS
    return (np.clip(np.floor(scaled), 0, LEVELS - 1) + 1).astype(np.uint8)


def entropy_bits(counts: NDArray[Any]) -> float:
    """Shannon entropy of a histogram."""
    total = counts.sum()
    if total == 0:
        return 0.0
    shares = counts[counts > 0] / total
    return float(-(shares * np.log2(shares)).sum() + 0.0)


def co_occurrence(hu: HuImage, mask: Mask) -> dict[str, float]:
    """Symmetric grey-level co-occurrence of in-plane neighbours, summed over four directions.

    A region without a single pair of neighbours has no texture: all zero.
    """
    matrix = np.zeros((LEVELS, LEVELS))
    levels = np.where(mask, grey_levels(np.where(mask, hu, LOW_HU)), 0).astype(np.uint8)
    for plane in _cropped(levels, mask):
        pairs = graycomatrix(plane, [1], ANGLES, LEVELS + 1, symmetric=True)
        # Row and column 0 pair a voxel with the outside.
        matrix += pairs[1:, 1:].sum(axis=(2, 3))
    if matrix.sum() == 0:
        return dict.fromkeys(CO_OCCURRENCE, 0.0)
    shares = (matrix / matrix.sum())[:, :, None, None]
    found = {name: float(graycoprops(shares, name)[0, 0]) for name in CO_OCCURRENCE[:-1]}
    return found | {"entropy_bits": entropy_bits(matrix)}


def local_patterns(hu: HuImage, mask: Mask) -> NDArray[np.float64]:
    """Histogram (10,) of rotation-invariant uniform local binary patterns, as shares.

    Voxels at the mask's edge are left out: their pattern would draw its outline.
    """
    inner = mask & ndimage.binary_erosion(mask, np.ones((1, 3, 3)))
    counts = np.zeros(PATTERN_POINTS + 2)
    if not inner.any():
        return counts
    window = ndimage.find_objects(mask.astype(np.uint8))[0]
    for plane, counted in zip(hu[window], inner[window], strict=True):
        if counted.any():
            # The function warns of floating point; whole HU are what the scanner gave.
            whole = np.rint(plane).astype(np.int16)
            codes = local_binary_pattern(whole, PATTERN_POINTS, PATTERN_RADIUS, "uniform")
            counts += np.bincount(codes[counted].astype(np.int64), minlength=counts.size)
    return np.asarray(counts / counts.sum())


def _cropped(levels: NDArray[np.uint8], mask: Mask) -> NDArray[np.uint8]:
    """The axial planes of the mask's bounding box."""
    return np.asarray(levels[ndimage.find_objects(mask.astype(np.uint8))[0]])
