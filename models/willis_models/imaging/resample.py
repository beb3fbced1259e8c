"""Between native slices and regular grids, always through world coordinates.

A slice stack is sampled by true position, so gantry tilt, oblique planes and uneven slice steps
need no special case: they are in the stack's own geometry.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from willis_models.volume import Array, Floats, Grid, SliceStack, Volume

AIR_HU = -1024.0


def shrink(stack: SliceStack, target_mm: float) -> SliceStack:
    """Block means of neighbouring voxels, so that no step is coarser than ``target_mm``.

    The anti-aliasing step before sampling on a grid of that spacing: it also averages noise down.
    Slices are merged only where their steps allow it.
    """
    rows = max(int(target_mm / stack.pixel_spacing_mm[0]), 1)
    columns = max(int(target_mm / stack.pixel_spacing_mm[1]), 1)
    slices = _mergeable_slices(stack, target_mm)
    z, y, x = (n // f for n, f in zip(stack.shape, (slices, rows, columns), strict=True))
    means = np.empty((z, y, x), dtype=np.float32)
    for k in range(z):
        block = stack.voxels[k * slices : (k + 1) * slices, : y * rows, : x * columns]
        shaped = block.reshape(slices, y, rows, x, columns)
        means[k] = shaped.mean(axis=(0, 2, 4), dtype=np.float32)
    origins = stack.origins_lps[: z * slices].reshape(z, slices, 3).mean(axis=1)
    origins = origins + stack.column_step_lps * (rows - 1) / 2
    origins = origins + stack.row_step_lps * (columns - 1) / 2
    return SliceStack(means, origins, stack.row_step_lps * columns, stack.column_step_lps * rows)


def _mergeable_slices(stack: SliceStack, target_mm: float) -> int:
    if stack.shape[0] < 2:
        return 1
    return min(max(int(target_mm / float(stack.slice_steps_mm.max())), 1), stack.shape[0])


def bounding_grid(stack: SliceStack, spacing_mm: float) -> Grid:
    """The smallest LPS-aligned grid of cubic voxels that holds the whole stack."""
    corners = _corners(stack)
    low = corners.min(axis=0)
    extent = corners.max(axis=0) - low
    x, y, z = (int(np.ceil(length / spacing_mm)) + 1 for length in extent)
    return lps_grid((z, y, x), spacing_mm, low)


def lps_grid(shape: tuple[int, int, int], spacing_mm: float, origin_lps: ArrayLike) -> Grid:
    """A grid whose axes (z, y, x) run along +S, +P, +L from ``origin_lps`` (x, y, z)."""
    affine = np.zeros((4, 4))
    affine[2, 0] = affine[1, 1] = affine[0, 2] = spacing_mm
    affine[:3, 3] = np.asarray(origin_lps, dtype=np.float64)
    affine[3, 3] = 1.0
    return Grid(shape, affine)


def _corners(stack: SliceStack) -> Floats:
    z, y, x = (n - 1 for n in stack.shape)
    index = np.array([(k, j, i) for k in (0, z) for j in (0, y) for i in (0, x)], dtype=float)
    return stack.to_world(index)


def grid_points(grid: Grid) -> Floats:
    """World position (z, y, x, 3) of every voxel of the grid, LPS mm."""
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    return grid.to_world(index.astype(np.float64))


def sample_stack(
    stack: SliceStack, points_lps: Array, fill: float = AIR_HU, order: int = 1
) -> NDArray[np.float32]:
    """Value of the stack at world points (..., 3); ``fill`` where the scan did not reach."""
    index = np.moveaxis(stack.to_index(points_lps), -1, 0)
    sampled = ndimage.map_coordinates(
        stack.voxels, index, output=np.float32, order=order, mode="constant", cval=fill
    )
    return np.asarray(sampled)


def resample_stack(stack: SliceStack, grid: Grid, fill: float = AIR_HU) -> Volume:
    """The stack on a regular grid, block-averaged to its spacing first."""
    coarse = shrink(stack, min(grid.spacing_mm))
    return Volume(sample_stack(coarse, grid_points(grid), fill), grid.affine_lps)


def is_covered(stack: SliceStack, points_lps: Array) -> NDArray[np.bool_]:
    """Which world points (..., 3) lie inside the scanned stack, edge voxels as a whole."""
    index = stack.to_index(points_lps)
    limits = np.array(stack.shape) - 0.5
    return np.asarray(((index >= -0.5) & (index <= limits)).all(axis=-1))


def sample_labels(
    labels: Array, grid: Grid, points_lps: Array, background: int = 0
) -> NDArray[np.uint8]:
    """Nearest label of a grid at world points (..., 3); ``background`` outside."""
    index = np.rint(grid.to_index(points_lps)).astype(np.int32)
    inside = ((index >= 0) & (index < np.array(grid.shape))).all(axis=-1)
    found = np.full(inside.shape, background, dtype=np.uint8)
    k, j, i = (index[..., axis][inside] for axis in range(3))
    found[inside] = labels[k, j, i]
    return found


_ROUNDING = 0.999
"""Sums of probabilities are one but for rounding."""


def refine_labels(
    probabilities: NDArray[np.float32], grid: Grid, factor: int = 2
) -> tuple[NDArray[np.uint8], Grid]:
    """Argmax of class probabilities (classes, z, y, x) after linear interpolation to a finer grid.

    Class by class, each in the box where it can win: none wins below the mean of all classes, and
    what lies between voxels is never more than the larger of them. So memory stays at two volumes.
    """
    fine = _finer(grid, factor)
    best = np.zeros(fine.shape, dtype=np.float32)
    labels = np.zeros(fine.shape, dtype=np.uint8)
    floor = float(probabilities.sum(axis=0).min()) / len(probabilities)
    for value, channel in enumerate(probabilities):
        box = _box_where(channel >= floor * _ROUNDING)
        if box is None:
            continue
        upsampled = _upsample(channel[box], factor)
        place = tuple(slice(factor * s.start, factor * (s.stop - 1) + 1) for s in box)
        wins = upsampled > best[place]
        labels[place][wins] = value
        best[place][wins] = upsampled[wins]
    return labels, fine


def _box_where(mask: NDArray[np.bool_]) -> tuple[slice, ...] | None:
    """The smallest box around a mask and its neighbours; None around nothing."""
    sides = []
    for axis, size in enumerate(mask.shape):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        hits = np.flatnonzero(mask.any(axis=others))
        if not len(hits):
            return None
        sides.append(slice(max(int(hits[0]) - 1, 0), min(int(hits[-1]) + 2, size)))
    return tuple(sides)


def _finer(grid: Grid, factor: int) -> Grid:
    z, y, x = (factor * (n - 1) + 1 for n in grid.shape)
    affine = grid.affine_lps.copy()
    affine[:3, :3] /= factor
    return Grid((z, y, x), affine)


def _upsample(channel: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    for axis in range(3):
        channel = _upsample_axis(channel, factor, axis)
    return channel


def _upsample_axis(channel: NDArray[np.float32], factor: int, axis: int) -> NDArray[np.float32]:
    moved = np.moveaxis(channel, axis, 0)
    fine = np.empty((factor * (len(moved) - 1) + 1, *moved.shape[1:]), dtype=np.float32)
    fine[::factor] = moved
    for step in range(1, factor):
        weight = np.float32(step / factor)
        fine[step::factor] = moved[:-1] * (1 - weight) + moved[1:] * weight
    return np.moveaxis(fine, 0, axis)


def labels_on_stack(
    labels: Array, grid: Grid, stack: SliceStack, to_grid_world: Floats
) -> NDArray[np.uint8]:
    """Carry a label map of a template grid back to the native slices.

    ``to_grid_world`` is the affine (4, 4) from the stack's world to the grid's world, LPS mm.
    Works slice by slice: the index into the grid is an affine function of the pixel position.
    """
    native = np.zeros(stack.shape, dtype=np.uint8)
    _, rows, columns = stack.shape
    j, i = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    to_index = np.linalg.inv(grid.affine_lps) @ to_grid_world
    step_j = to_index[:3, :3] @ stack.column_step_lps
    step_i = to_index[:3, :3] @ stack.row_step_lps
    in_plane = [np.float32(step_j[a]) * j + np.float32(step_i[a]) * i for a in range(3)]
    for k, origin in enumerate(stack.origins_lps):
        start = to_index[:3, :3] @ origin + to_index[:3, 3]
        index = [np.rint(in_plane[a] + start[a]).astype(np.int32) for a in range(3)]
        inside = np.logical_and.reduce(
            [(index[a] >= 0) & (index[a] < grid.shape[a]) for a in range(3)]
        )
        native[k][inside] = labels[index[0][inside], index[1][inside], index[2][inside]]
    return native
