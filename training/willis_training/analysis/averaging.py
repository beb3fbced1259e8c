"""Test-time augmentation by small shifts: the answers for moved copies, moved back and averaged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""From an image (z, y, x) to probabilities (classes, z, y, x)."""

SHIFTS = tuple(shift for shift in product((-1, 0, 1), repeat=3) if np.abs(shift).sum() <= 1)
"""No shift, and one voxel to each of the six sides."""


def averaged_over_shifts(
    predict: Predict, image: NDArray[np.float32], shifts: Sequence[Sequence[int]] = SHIFTS
) -> NDArray[Any]:
    """Mean probabilities over moved copies. What is moved out comes in on the other side, so the
    rim of the image should hold nothing.
    """
    total: NDArray[Any] | None = None
    for shift in shifts:
        found = predict(np.roll(image, shift, axis=(0, 1, 2)))
        back = np.roll(found, [-step for step in shift], axis=(1, 2, 3))
        total = back if total is None else total + back
    if total is None:
        raise ValueError("No shift was given.")
    return np.asarray(total / len(shifts))
