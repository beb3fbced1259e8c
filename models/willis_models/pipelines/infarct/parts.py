"""Parts and volumes of masks on native slices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from willis_models.imaging.components import Mask
from willis_models.volume import SliceStack

_CONNECTED = np.ones((3, 3, 3), bool)


def without_small_parts(mask: Mask, stack: SliceStack, least_ml: float) -> Mask:
    """The mask without its parts (26-connected) under a volume in mL."""
    parts, count = ndimage.label(mask, structure=_CONNECTED)
    if count == 0:
        return mask
    kept = _volumes_ml(parts, count, stack) >= least_ml
    return np.asarray(np.r_[False, kept][parts])


def part_volumes_ml(mask: Mask, stack: SliceStack) -> NDArray[np.float64]:
    """Volume of each part (26-connected), each slice with its own extent."""
    parts, count = ndimage.label(mask, structure=_CONNECTED)
    return _volumes_ml(parts, count, stack)


def _volumes_ml(parts: NDArray[np.int32], count: int, stack: SliceStack) -> NDArray[np.float64]:
    counts = np.stack([np.bincount(plane.ravel(), minlength=count + 1) for plane in parts])
    return np.asarray((counts * stack.voxel_ml[:, None]).sum(axis=0)[1:])
