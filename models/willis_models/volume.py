"""Voxels with geometry: nothing travels through the core as a bare array.

Frames and axes: world coordinates are DICOM LPS millimetres (+x patient left, +y posterior,
+z superior). Arrays are indexed (z, y, x). Every affine maps a homogeneous *array* index
``(k, j, i, 1)`` to a world position, so that no axis is ever swapped on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from willis_models.errors import GeometryError

Array = NDArray[Any]
Floats = NDArray[np.float64]

_SINGULAR_MM3 = 1e-6


@dataclass(frozen=True)
class Grid:
    """A regular lattice: its shape (z, y, x) and its affine from array index to LPS mm."""

    shape: tuple[int, int, int]
    affine_lps: Floats

    def __post_init__(self) -> None:
        affine = np.array(self.affine_lps, dtype=np.float64)
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise GeometryError("The image's affine is not a finite 4 x 4 matrix.")
        if abs(np.linalg.det(affine[:3, :3])) < _SINGULAR_MM3:
            raise GeometryError("The image's affine can't be inverted: its axes are degenerate.")
        affine.setflags(write=False)
        object.__setattr__(self, "affine_lps", affine)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Length of one step along (z, y, x)."""
        z, y, x = np.linalg.norm(self.affine_lps[:3, :3], axis=0)
        return float(z), float(y), float(x)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel: |det A| / 1000."""
        return float(abs(np.linalg.det(self.affine_lps[:3, :3])) / 1000.0)

    def to_world(self, index: Array) -> Floats:
        """Array indices (..., 3) in (z, y, x) order to LPS mm (..., 3)."""
        return np.asarray(index @ self.affine_lps[:3, :3].T + self.affine_lps[:3, 3])

    def to_index(self, world_lps: Array) -> Floats:
        """LPS mm (..., 3) to continuous array indices (..., 3) in (z, y, x) order."""
        inverse = np.linalg.inv(self.affine_lps)
        return np.asarray(world_lps @ inverse[:3, :3].T + inverse[:3, 3])


@dataclass(frozen=True)
class Volume:
    """An image on a regular grid: voxels (z, y, x) and the affine to LPS mm. Immutable."""

    voxels: Array
    affine_lps: Floats

    def __post_init__(self) -> None:
        if self.voxels.ndim != 3:
            raise GeometryError(f"A volume has three axes, not {self.voxels.ndim}.")
        object.__setattr__(self, "affine_lps", self.grid.affine_lps)
        self.voxels.setflags(write=False)

    @cached_property
    def grid(self) -> Grid:
        """The lattice on which the voxels lie."""
        z, y, x = self.voxels.shape
        return Grid((z, y, x), self.affine_lps)

    def with_voxels(self, voxels: Array) -> Volume:
        """The same geometry under other voxels of the same shape."""
        if voxels.shape != self.voxels.shape:
            raise GeometryError(f"Shape {voxels.shape} does not fit the grid {self.voxels.shape}.")
        return Volume(voxels, self.affine_lps)


@dataclass(frozen=True)
class SliceStack:
    """Parallel slices as the scanner acquired them: uneven steps and gantry tilt included.

    ``voxels`` (z, y, x) in the modality's unit (HU for CT); ``origins_lps`` (z, 3) the centre of
    the first voxel of each slice, mm, in stack order along ``normal_lps``; ``row_step_lps`` the
    world step for x + 1, ``column_step_lps`` for y + 1. With gantry tilt the origins drift within
    the plane, so the stack is a sheared lattice; nothing here assumes that it is orthogonal.
    """

    voxels: Array
    origins_lps: Floats
    row_step_lps: Floats
    column_step_lps: Floats

    def __post_init__(self) -> None:
        if self.voxels.ndim != 3 or self.origins_lps.shape != (self.voxels.shape[0], 3):
            raise GeometryError("A stack needs one origin for each of its slices.")
        if len(self.origins_lps) > 1 and (np.diff(self.distances_mm) <= 0).any():
            raise GeometryError("The slices of a stack must be ordered along its normal.")
        self.voxels.setflags(write=False)

    @staticmethod
    def from_volume(volume: Volume) -> SliceStack:
        """A regular volume seen as a stack; flipped where its axes make a left-handed frame."""
        affine = volume.affine_lps
        voxels, origin, step = volume.voxels, affine[:3, 3], affine[:3, 0]
        normal = np.cross(affine[:3, 2], affine[:3, 1])
        if float(normal @ step) < 0:
            voxels = voxels[::-1]
            origin, step = origin + step * (len(voxels) - 1), -step
        origins = origin + np.arange(len(voxels))[:, None] * step
        return SliceStack(voxels, origins, affine[:3, 2].copy(), affine[:3, 1].copy())

    @property
    def shape(self) -> tuple[int, int, int]:
        """(slices, rows, columns)."""
        z, y, x = self.voxels.shape
        return z, y, x

    @cached_property
    def normal_lps(self) -> Floats:
        """Unit vector perpendicular to the slices."""
        normal = np.cross(self.row_step_lps, self.column_step_lps)
        length = float(np.linalg.norm(normal))
        if length < _SINGULAR_MM3:
            raise GeometryError("The rows and columns of the slices are parallel.")
        return np.asarray(normal / length)

    @cached_property
    def distances_mm(self) -> Floats:
        """Position of each slice along the normal."""
        return np.asarray(self.origins_lps @ self.normal_lps)

    @cached_property
    def slice_steps_mm(self) -> Floats:
        """Distance between neighbouring slices, (z - 1,)."""
        return np.diff(self.distances_mm)

    @cached_property
    def slice_extents_mm(self) -> Floats:
        """The length of normal that each slice stands for, (z,): half-way to both neighbours."""
        steps = self.slice_steps_mm
        if len(steps) == 0:
            raise GeometryError("A single slice has no extent of its own.")
        return np.asarray((np.r_[steps[:1], steps] + np.r_[steps, steps[-1:]]) / 2)

    @property
    def pixel_spacing_mm(self) -> tuple[float, float]:
        """(between rows, between columns): DICOM's PixelSpacing."""
        return float(np.linalg.norm(self.column_step_lps)), float(np.linalg.norm(self.row_step_lps))

    @cached_property
    def voxel_ml(self) -> Floats:
        """Volume of one voxel of each slice, (z,)."""
        area_mm2 = float(np.linalg.norm(np.cross(self.row_step_lps, self.column_step_lps)))
        return np.asarray(area_mm2 * self.slice_extents_mm / 1000.0)

    @cached_property
    def tilt_deg(self) -> float:
        """Gantry tilt: angle between the normal and the line through the slices' origins."""
        drift = self.origins_lps[-1] - self.origins_lps[0]
        along = float(drift @ self.normal_lps)
        across = float(np.linalg.norm(drift - along * self.normal_lps))
        return float(np.degrees(np.arctan2(across, abs(along))))

    def to_world(self, index: Array) -> Floats:
        """Indices (..., 3) in (z, y, x) order, z whole, to LPS mm (..., 3)."""
        k = np.asarray(index[..., 0]).astype(int)
        in_plane = index[..., 1:2] * self.column_step_lps + index[..., 2:3] * self.row_step_lps
        return np.asarray(self.origins_lps[k] + in_plane)

    def to_index(self, world_lps: Array) -> Floats:
        """LPS mm (..., 3) to continuous indices (..., 3); z runs past the ends by extrapolation."""
        world = np.asarray(world_lps, dtype=np.float64)
        k = _position_in(self.distances_mm, world @ self.normal_lps)
        origin = _interpolate_rows(self.origins_lps, k)
        plane = np.stack([self.column_step_lps, self.row_step_lps], axis=1)
        in_plane = (world - origin) @ np.linalg.pinv(plane).T
        return np.concatenate([k[..., None], in_plane], axis=-1)

    def with_voxels(self, voxels: Array) -> SliceStack:
        """The same geometry under other voxels of the same shape."""
        if voxels.shape != self.voxels.shape:
            raise GeometryError(f"Shape {voxels.shape} does not fit the stack {self.voxels.shape}.")
        return SliceStack(voxels, self.origins_lps, self.row_step_lps, self.column_step_lps)


@dataclass(frozen=True)
class DynamicStack:
    """Slices that were scanned again and again, for example while contrast agent passes.

    ``frames`` (t, z, y, x) in the modality's unit; ``times_s`` (t, z) when each slice of each frame
    was acquired, in seconds after the earliest one, rising along t for every slice (in shuttle mode
    the slices of one frame differ). The geometry is that of ``SliceStack``, one for all frames.
    """

    frames: Array
    times_s: Floats
    origins_lps: Floats
    row_step_lps: Floats
    column_step_lps: Floats

    def __post_init__(self) -> None:
        if self.frames.ndim != 4 or self.times_s.shape != self.frames.shape[:2]:
            raise GeometryError("A dynamic stack needs one time for each slice of each frame.")
        if not np.isfinite(self.times_s).all() or (np.diff(self.times_s, axis=0) <= 0).any():
            raise GeometryError("The frames of a dynamic stack must be ordered in time.")
        self.frames.setflags(write=False)
        self.times_s.setflags(write=False)

    @staticmethod
    def like(stack: SliceStack, frames: Array, times_s: Floats) -> DynamicStack:
        """Frames on the geometry of a stack."""
        return DynamicStack(
            frames, times_s, stack.origins_lps, stack.row_step_lps, stack.column_step_lps
        )

    @cached_property
    def mean(self) -> SliceStack:
        """Mean over time, float32: the still image of the series, and its geometry."""
        total = np.zeros(self.frames.shape[1:], np.float32)
        for frame in self.frames:
            total += frame
        return self.still(total / np.float32(len(self.frames)))

    def still(self, voxels: Array) -> SliceStack:
        """One image (z, y, x) on the geometry of the series."""
        return SliceStack(voxels, self.origins_lps, self.row_step_lps, self.column_step_lps)


def _position_in(distances_mm: Floats, wanted_mm: Floats) -> Floats:
    """Continuous slice index of each wanted distance, extrapolated with the outermost steps."""
    count = len(distances_mm)
    if count == 1:
        return np.asarray(wanted_mm - distances_mm[0])
    index = np.interp(wanted_mm, distances_mm, np.arange(count))
    first, last = distances_mm[1] - distances_mm[0], distances_mm[-1] - distances_mm[-2]
    index = np.where(wanted_mm < distances_mm[0], (wanted_mm - distances_mm[0]) / first, index)
    beyond = count - 1 + (wanted_mm - distances_mm[-1]) / last
    return np.asarray(np.where(wanted_mm > distances_mm[-1], beyond, index))


def _interpolate_rows(rows: Floats, index: Floats) -> Floats:
    """Linear interpolation between the rows of an (n, 3) table, extrapolated past its ends."""
    if len(rows) == 1:
        return np.broadcast_to(rows[0], (*index.shape, 3))
    low = np.clip(np.floor(index).astype(int), 0, len(rows) - 2)
    weight = (index - low)[..., None]
    return np.asarray(rows[low] * (1 - weight) + rows[low + 1] * weight)
