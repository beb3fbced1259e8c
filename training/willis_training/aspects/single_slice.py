"""One axial slice as an 8-bit picture: its grey values as HU, and where its brain is.

Both are estimates. The pictures carry no rescale and no pixel size; their grey values behave like
HU clipped to 0-255 (parenchyma near 30, CSF under 10, bone at 255), so they are taken as they are.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from willis_models.errors import BrainNotPlausible
from willis_models.imaging.components import Mask, grow, largest_component, shrink_mask
from willis_models.imaging.resample import AIR_HU

Plane = NDArray[np.float32]

BONE_GREY = 200.0
SOFT_GREY = (2.0, 85.0)
SMOOTHING_PX = 2.0
OPENING_PX = 9.0
MIN_AREA_PX = 10_000


def read_grey(path: Path) -> Plane:
    """Grey values (rows, columns), 0-255."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("L"), dtype=np.float32)


def read_expert(path: Path) -> tuple[Mask, Mask]:
    """Core (red) and penumbra (green) as the expert drew them, (rows, columns)."""
    with Image.open(path) as picture:
        colours = np.asarray(picture.convert("RGB"))
    return colours[..., 0] > 127, colours[..., 1] > 127


def approximate_hu(grey: Plane) -> Plane:
    """Grey values as HU; where the clip at 0 hid air, air again."""
    air = ndimage.gaussian_filter(grey, SMOOTHING_PX) < SOFT_GREY[0]
    return np.where(air, AIR_HU, grey).astype(np.float32)


def slice_brain(grey: Plane) -> Mask:
    """Soft tissue inside the skull's ring. Raises BrainNotPlausible where there is none.

    Three directions of four must meet bone, because the ring is open at the skull base.
    """
    bone = grey > BONE_GREY
    smooth = ndimage.gaussian_filter(np.where(bone, 0.0, grey), SMOOTHING_PX)
    weight = ndimage.gaussian_filter((~bone).astype(np.float32), SMOOTHING_PX)
    soft = smooth / np.maximum(weight, 1e-3)
    inside = (soft > SOFT_GREY[0]) & (soft < SOFT_GREY[1])
    inside &= ~grow(bone, 1.0) & _enclosed(bone)
    core = largest_component(shrink_mask(inside, OPENING_PX))
    if core.sum() < MIN_AREA_PX:
        raise BrainNotPlausible("No brain was found inside the skull of the slice.")
    brain = grow(core, OPENING_PX + 1.0) & inside
    return np.asarray(ndimage.binary_fill_holes(largest_component(brain)), dtype=np.bool_)


def _enclosed(bone: Mask) -> Mask:
    count = np.zeros(bone.shape, dtype=np.uint8)
    for axis in range(2):
        count += np.maximum.accumulate(bone, axis=axis)
        count += np.flip(np.maximum.accumulate(np.flip(bone, axis), axis=axis), axis)
    return np.asarray(count >= 3)
