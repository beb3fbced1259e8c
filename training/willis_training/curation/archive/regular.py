"""A stack of slices as a regular volume with orthogonal axes, as NIfTI readers expect it.

Slice planes stay where they are. Gantry tilt is taken out by shifting each slice within its own
plane (the lattice is sheared, not turned); uneven steps are interpolated between slices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from willis_models.imaging.resample import AIR_HU
from willis_models.volume import Floats, Grid, SliceStack, Volume

SAME_MM = 0.05
"""Deviations below this are rounding in the header."""


@dataclass(frozen=True)
class RegularVolume:
    """The volume (int16 HU), and which of its slices' properties were changed to get there."""

    volume: Volume
    tilt_corrected: bool
    steps_resampled: bool


def regular_volume(stack: SliceStack) -> RegularVolume:
    """The stack on a grid with its own pixel spacing and, where even, its own slices."""
    steps = stack.slice_steps_mm
    uneven = bool(np.ptp(steps) > SAME_MM)
    drift = _in_plane(stack)
    tilted = bool(np.ptp(drift, axis=0).max() > SAME_MM)
    if not (uneven or tilted):
        return RegularVolume(
            Volume(stack.voxels.copy(), _affine(stack, stack.origins_lps[0])), False, False
        )
    grid = _grid_around(stack, drift, float(np.min(steps) if uneven else np.median(steps)))
    return RegularVolume(Volume(_sampled(stack, grid), grid.affine_lps), tilted, uneven)


def _in_plane(stack: SliceStack) -> Floats:
    """Origins along columns and rows (z, 2), mm."""
    return np.stack(
        [stack.origins_lps @ _unit(s) for s in (stack.column_step_lps, stack.row_step_lps)], axis=-1
    )


def _unit(step: Floats) -> Floats:
    return np.asarray(step / np.linalg.norm(step))


def _affine(stack: SliceStack, origin: Floats, step_mm: float | None = None) -> Floats:
    affine = np.eye(4)
    step = float(np.mean(stack.slice_steps_mm)) if step_mm is None else step_mm
    affine[:3, 0] = stack.normal_lps * step
    affine[:3, 1], affine[:3, 2] = stack.column_step_lps, stack.row_step_lps
    affine[:3, 3] = origin
    return affine


def _grid_around(stack: SliceStack, drift: Floats, step_mm: float) -> Grid:
    _, rows, columns = stack.shape
    low, spread = drift.min(axis=0), np.ptp(drift, axis=0)
    spacing = np.array(stack.pixel_spacing_mm)
    more = np.ceil(np.where(spread > SAME_MM, spread, 0.0) / spacing).astype(int)
    origin = (
        stack.distances_mm[0] * stack.normal_lps
        + low[0] * _unit(stack.column_step_lps)
        + low[1] * _unit(stack.row_step_lps)
    )
    count = int(np.floor(np.ptp(stack.distances_mm) / step_mm + 1e-3)) + 1
    shape = (count, rows + int(more[0]), columns + int(more[1]))
    return Grid(shape, _affine(stack, origin, step_mm))


def _sampled(stack: SliceStack, grid: Grid) -> NDArray[np.int16]:
    """Slice by slice: a thin series would not fit into memory as points."""
    count, rows, columns = grid.shape
    voxels = np.empty(grid.shape, dtype=np.int16)
    plane = np.moveaxis(np.indices((1, rows, columns)), 0, -1)[0].astype(np.float64)
    top = len(stack.distances_mm) - 1
    for k in range(count):
        plane[..., 0] = k
        index = np.moveaxis(stack.to_index(grid.to_world(plane)), -1, 0)
        # Rounding must not push the last slice outside, where there is only air.
        index[0] = np.clip(index[0], 0, top)
        voxels[k] = _linear(stack, index)
    return voxels


def _linear(stack: SliceStack, index: Floats) -> NDArray[np.int16]:
    values = ndimage.map_coordinates(
        stack.voxels, index, output=np.float32, order=1, mode="constant", cval=AIR_HU
    )
    return np.asarray(np.rint(values), dtype=np.int16)
