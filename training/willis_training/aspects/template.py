"""The template of the pipeline: the mean of simulated training heads in MNI space, symmetric.

It is our own product of simulation, so that a bundle ships without anybody's atlas image.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from willis_models.imaging.resample import lps_grid
from willis_models.volume import Grid
from willis_training.curation.label_codes import CSF_CODES
from willis_training.simulation.anatomy import Anatomy
from willis_training.simulation.tissue import (
    BLOOD,
    CAUDATE_THALAMUS,
    CEREBELLAR_CORTEX,
    CORTEX,
    LIMIT,
    PUTAMEN_PALLIDUM,
    WHITE,
)

TEMPLATE_SHAPE = (88, 108, 90)
TEMPLATE_SPACING_MM = 2.0
TEMPLATE_ORIGIN_LPS = (-89.0, -89.0, -72.0)
MIRRORED_LABEL = np.r_[0, np.arange(11, 21), np.arange(1, 11)]

_MEAN_HU = {
    WHITE: 28.5,
    CORTEX: 35.0,
    CEREBELLAR_CORTEX: 37.0,
    CAUDATE_THALAMUS: 33.7,
    PUTAMEN_PALLIDUM: 36.3,
    CSF_CODES: 6.0,
    BLOOD: 40.0,
}


def template_grid() -> Grid:
    """The template's lattice, LPS-aligned, symmetric about x = 0."""
    return lps_grid(TEMPLATE_SHAPE, TEMPLATE_SPACING_MM, np.array(TEMPLATE_ORIGIN_LPS))


def build_template(anatomies: Iterable[Anatomy]) -> dict[str, NDArray[Any]]:
    """Assets of the bundle: mean HU of the brain, its mask, and the mean region atlas.

    ``template_hu`` float16 (0 outside the brain), ``template_brain`` uint8, ``atlas`` uint8 0-20,
    all on ``template_grid()``.
    """
    grid = template_grid()
    size = int(np.prod(grid.shape))
    hu, brain, count = (np.zeros(size) for _ in range(3))
    votes = np.zeros((21, size), dtype=np.float32)
    for anatomy in anatomies:
        _add(anatomy, grid, hu, brain, count, votes)
    seen = np.maximum(count, 1.0)
    mean_hu = _symmetric((hu / seen).reshape(grid.shape))
    share = _symmetric((brain / seen).reshape(grid.shape))
    mirrored = votes.reshape(21, *grid.shape)[MIRRORED_LABEL][..., ::-1]
    atlas = (votes.reshape(21, *grid.shape) + mirrored).argmax(axis=0)
    inside = share > 0.5
    return {
        "template_hu": np.where(inside, mean_hu, 0.0).astype(np.float16),
        "template_brain": inside.astype(np.uint8),
        "atlas": np.where(inside, atlas, 0).astype(np.uint8),
    }


def _add(
    anatomy: Anatomy,
    grid: Grid,
    hu: NDArray[np.float64],
    brain: NDArray[np.float64],
    count: NDArray[np.float64],
    votes: NDArray[np.float32],
) -> None:
    """Scatter one head's voxels into the template's cells."""
    table = np.full(LIMIT, np.nan)
    for codes, mean_hu in _MEAN_HU.items():
        table[list(codes)] = mean_hu
    index = np.rint(grid.to_index(anatomy.head.mni_lps)).astype(np.int64)
    inside = ((index >= 0) & (index < np.array(grid.shape))).all(axis=-1)
    cell = np.ravel_multi_index(tuple(index[inside].T), grid.shape)
    value = table[anatomy.coarse_labels[inside]]
    is_brain = np.isfinite(value)
    count += np.bincount(cell, minlength=count.size)
    brain += np.bincount(cell, is_brain, minlength=count.size)
    hu += np.bincount(cell, np.where(is_brain, value, 0.0), minlength=count.size)
    regions = anatomy.regions[::2, ::2, ::2][inside]
    for label in range(21):
        votes[label] += np.bincount(cell[regions == label], minlength=count.size)


def _symmetric(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((values + values[..., ::-1]) / 2)
