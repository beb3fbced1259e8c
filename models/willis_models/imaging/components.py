"""Connected components and hole filling of masks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]


def largest_component(mask: Mask) -> Mask:
    """The largest face-connected component; an empty mask stays empty."""
    labels, count = ndimage.label(mask)
    if count == 0:
        return np.zeros_like(mask)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == sizes.argmax())


def grow(mask: Mask, distance_voxels: float) -> Mask:
    """All voxels within a distance of the mask, by exact distance transform."""
    return np.asarray(ndimage.distance_transform_edt(~mask) <= distance_voxels)


def shrink_mask(mask: Mask, distance_voxels: float) -> Mask:
    """The voxels of the mask that lie deeper than a distance from its edge."""
    return np.asarray(ndimage.distance_transform_edt(mask) > distance_voxels)


def fill_holes_by_slice(mask: Mask) -> Mask:
    """Fill holes within each axial slice (axis 0)."""
    return np.stack([ndimage.binary_fill_holes(plane) for plane in mask])
