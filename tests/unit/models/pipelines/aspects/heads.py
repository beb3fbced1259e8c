"""Heads on a small symmetric grid in MNI space, with twenty boxes for the regions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from willis_models.imaging.register import Registration
from willis_models.imaging.resample import lps_grid
from willis_models.pipelines.aspects.head import HeadInTemplate

GRID = lps_grid((20, 44, 40), 2.0, (-39.0, -43.0, -19.0))
NORMAL_HU = 34.0


def region_labels() -> NDArray[np.uint8]:
    """Labels 1-10 as boxes of 6 x 8 x 8 voxels on the left (high x), 11-20 mirrored."""
    labels = np.zeros(GRID.shape, dtype=np.uint8)
    for n in range(10):
        z, y = 2 + 9 * (n // 5), 1 + 8 * (n % 5)
        labels[z : z + 6, y : y + 8, 28:36] = n + 1
    mirrored = labels[..., ::-1]
    return labels + np.where(mirrored > 0, mirrored + 10, 0).astype(np.uint8)


def healthy_head(noise_hu: float = 1.0) -> HeadInTemplate:
    """A brain of 34 HU everywhere but at the grid's edge; fully covered."""
    hu = np.random.default_rng(0).normal(NORMAL_HU, noise_hu, GRID.shape).astype(np.float32)
    brain = np.zeros(GRID.shape, dtype=bool)
    brain[1:-1, 1:-1, 1:-1] = True
    covered = np.ones(GRID.shape, dtype=bool)
    return HeadInTemplate(GRID, hu, brain, covered, Registration(np.eye(4), 0.95), 1400.0)


def painted(head: HeadInTemplate, where: NDArray[np.bool_], hu: float) -> HeadInTemplate:
    """The head with some voxels set to one value."""
    return replace(head, hu=np.where(where, np.float32(hu), head.hu))


def added(head: HeadInTemplate, where: NDArray[np.bool_], hu: float) -> HeadInTemplate:
    """The head with a value added to some voxels."""
    return replace(head, hu=head.hu + np.where(where, np.float32(hu), np.float32(0.0)))
