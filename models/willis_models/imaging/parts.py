"""Separate parts of masks on native slices, and their volumes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from willis_models.imaging.components import Mask
from willis_models.volume import Floats, SliceStack

_FACES = ndimage.generate_binary_structure(3, 1)
_CORNERS = ndimage.generate_binary_structure(3, 3)


def without_small_parts(
    mask: Mask, stack: SliceStack, least_ml: float, *, corners: bool = True
) -> Mask:
    """The mask without its parts under a volume in mL; see ``part_volumes_ml``."""
    kept = np.zeros_like(mask)
    if mask.any():
        box = _box(mask)
        parts, volumes = _parts(mask[box], stack.voxel_ml[box[0]], corners)
        kept[box] = np.r_[False, volumes >= least_ml][parts]
    return kept


def part_volumes_ml(mask: Mask, stack: SliceStack, *, corners: bool = True) -> Floats:
    """Volume of each part, each slice with its own extent.

    With ``corners`` voxels that touch at a corner make one part (26-connected), without only those
    that share a face (6-connected).
    """
    if not mask.any():
        return np.zeros(0)
    box = _box(mask)
    return _parts(mask[box], stack.voxel_ml[box[0]], corners)[1]


def _box(mask: Mask) -> tuple[slice, slice, slice]:
    """A lesion is a small part of a scan: labelling its box alone takes a fraction of the time."""
    (box,) = ndimage.find_objects(mask.astype(np.uint8))
    return box[0], box[1], box[2]


def _parts(mask: Mask, voxel_ml: Floats, corners: bool) -> tuple[NDArray[np.int32], Floats]:
    """Number of its part for each voxel, and the parts' volumes."""
    parts, count = ndimage.label(mask, structure=_CORNERS if corners else _FACES)
    counts = np.stack([np.bincount(plane.ravel(), minlength=count + 1) for plane in parts])
    return parts, np.asarray((counts * voxel_ml[:, None]).sum(axis=0)[1:])
