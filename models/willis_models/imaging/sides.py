"""Patient left and right of native slices, by world position and never by how they are stored."""

from __future__ import annotations

import numpy as np

from willis_models.imaging.components import Mask
from willis_models.volume import Floats, SliceStack


def left_of_middle(stack: SliceStack, body: Mask) -> Mask:
    """Voxels (z, y, x) on the patient's left of the middle of a mask that is not empty.

    LPS: x rises to the left. The middle lies half-way between the mask's outermost voxels, so that
    a lesion which takes tissue out of one side moves it little.
    """
    x = _x_lps(stack)
    inside = x[body]
    return np.asarray(x > (float(inside.min()) + float(inside.max())) / 2)


def _x_lps(stack: SliceStack) -> Floats:
    """World x of every voxel, (z, y, x)."""
    _, y, x = stack.shape
    return np.asarray(
        stack.origins_lps[:, 0][:, None, None]
        + (np.arange(y) * stack.column_step_lps[0])[None, :, None]
        + (np.arange(x) * stack.row_step_lps[0])[None, None, :]
    )
