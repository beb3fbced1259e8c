"""Pixels binned and smoothed in plane, on the geometry that follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from willis_models.volume import Array, DynamicStack, Floats, SliceStack


@dataclass(frozen=True)
class BinnedSeries:
    """The series as it is measured: float32 frames (t, z, y, x), pixels binned in plane.

    ``factor`` native pixels a side make one; rows and columns that don't fill a bin are left out.
    ``frames`` is the one large array of the chain, and motion correction writes into it.
    """

    frames: Array
    times_s: Floats
    geometry: SliceStack
    factor: int

    @cached_property
    def pixel_mm(self) -> tuple[float, float]:
        """(between rows, between columns)."""
        return self.geometry.pixel_spacing_mm

    @cached_property
    def spacing_mm(self) -> tuple[float, float, float]:
        """(z, y, x); z is the median step."""
        steps = self.geometry.slice_steps_mm
        return (float(np.median(steps)) if len(steps) else self.pixel_mm[0], *self.pixel_mm)

    @cached_property
    def affine_lps(self) -> Floats:
        """The lattice of even steps nearest to the slices, array index to LPS mm."""
        origins = self.geometry.origins_lps
        affine = np.eye(4)
        affine[:3, 0] = self.geometry.normal_lps
        if len(origins) > 1:
            affine[:3, 0] = (origins[-1] - origins[0]) / (len(origins) - 1)
        affine[:3, 1] = self.geometry.column_step_lps
        affine[:3, 2] = self.geometry.row_step_lps
        affine[:3, 3] = origins[0]
        return affine


def bin_series(dynamic: DynamicStack, bin_below_mm: float) -> BinnedSeries:
    """Average pixels in plane until they are no smaller than ``bin_below_mm``."""
    pixel_mm = float(np.linalg.norm(dynamic.row_step_lps))
    factor = max(1, int(np.ceil(bin_below_mm / pixel_mm - 1e-6)))
    frames = _binned(dynamic.frames, factor)
    step = (dynamic.row_step_lps + dynamic.column_step_lps) * (factor - 1) / 2
    geometry = SliceStack(
        np.broadcast_to(np.float32(0), frames.shape[1:]),
        dynamic.origins_lps + step,
        dynamic.row_step_lps * factor,
        dynamic.column_step_lps * factor,
    )
    return BinnedSeries(frames, dynamic.times_s, geometry, factor)


def _binned(frames: Array, factor: int) -> Array:
    """Frame by frame, so that no second large array is ever made."""
    t, z, y, x = frames.shape
    rows, columns = y // factor, x // factor
    out = np.zeros((t, z, rows, columns), np.float32)
    for frame, target in zip(frames, out, strict=True):
        for dy in range(factor):
            for dx in range(factor):
                target += frame[
                    :, dy : rows * factor : factor, dx : columns * factor : factor
                ].astype(np.float32, copy=False)
        if factor > 1:
            target /= np.float32(factor**2)
    return out


def unbin(image: Array, factor: int, shape: tuple[int, int, int]) -> Array:
    """A binned image (z, y, x) on the native pixels; what lies beyond the last bin repeats it."""
    wide = np.repeat(np.repeat(image, factor, axis=1), factor, axis=2)
    missing = [(0, 0), (0, shape[1] - wide.shape[1]), (0, shape[2] - wide.shape[2])]
    return np.pad(wide, missing, mode="edge") if any(b for _, b in missing) else wide


def gaussian_matrix(count: int, sigma: float) -> Array:
    """(count, count) float32: smoothing of a line, in samples; rows don't add up to 1 at the ends.

    A matrix and not a filter: a slice of all frames is then smoothed by two products.
    """
    if sigma <= 0:
        return np.eye(count, dtype=np.float32)
    distance = np.arange(count)[:, None] - np.arange(count)[None, :]
    weights = np.exp(-0.5 * (distance / sigma) ** 2) * (np.abs(distance) <= np.ceil(4 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-np.ceil(4 * sigma), np.ceil(4 * sigma) + 1) / sigma) ** 2)
    return np.asarray(weights / kernel.sum(), dtype=np.float32)


@dataclass(frozen=True)
class Smoother:
    """Gaussian smoothing in plane within a mask (y, x): what lies outside never bleeds in."""

    rows: Array
    columns: Array
    mask: Array
    weight: Array

    @staticmethod
    def within(mask: Array, sigma_mm: float, pixel_mm: tuple[float, float]) -> Smoother:
        """For one slice's mask; sigma 0 leaves the pixels as they are."""
        rows = gaussian_matrix(mask.shape[0], sigma_mm / pixel_mm[0])
        columns = gaussian_matrix(mask.shape[1], sigma_mm / pixel_mm[1])
        inside = mask.astype(np.float32)
        weight = np.maximum(rows @ inside @ columns.T, 1e-3)
        return Smoother(rows, columns, inside, weight)

    def __call__(self, images: Array) -> Array:
        """Images (..., y, x) of the slice, smoothed; float32."""
        inside = images * self.mask
        return np.asarray((self.rows @ (inside @ self.columns.T)) / self.weight)


def bounding_box(mask: Array) -> tuple[slice, slice]:
    """Rows and columns that hold a slice's mask (y, x); empty slices where it holds nothing."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
