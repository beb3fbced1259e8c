"""Small phantoms in world coordinates, and slice stacks of any geometry to sample them on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from willis_models.imaging.resample import grid_points, lps_grid
from willis_models.manifest import Manifest
from willis_models.pipelines.aspects.parameters import AspectsParameters, parameters_of
from willis_models.runtime.bundle import latest_bundle
from willis_models.volume import SliceStack, Volume

Floats = NDArray[np.float64]
Field = Callable[[Floats], Floats]

BRAIN_RADII_MM = (66.0, 84.0, 66.0)
CSF_MM, SKULL_MM, SCALP_MM = 1.5, 6.0, 6.0


@cache
def shipped_manifest() -> Manifest:
    """The manifest of the newest shipped ASPECTS bundle."""
    return latest_bundle("aspects").manifest


def shipped_parameters() -> AspectsParameters:
    """Its parameters."""
    return parameters_of(shipped_manifest())


def rotation(roll_deg: float = 0.0, pitch_deg: float = 0.0, yaw_deg: float = 0.0) -> Floats:
    """Right-handed turns about y (roll), x (pitch), z (yaw): first pitch, then roll, then yaw."""
    matrix = np.eye(3)
    for axis, angle in ((0, pitch_deg), (1, roll_deg), (2, yaw_deg)):
        a, b = (axis + 1) % 3, (axis + 2) % 3
        cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        turn = np.eye(3)
        turn[a, a] = turn[b, b] = cos
        turn[a, b], turn[b, a] = -sin, sin
        matrix = turn @ matrix
    return matrix


def make_stack(
    shape: tuple[int, int, int],
    pixel_mm: float,
    steps_mm: Sequence[float] | float,
    tilt_deg: float = 0.0,
    axes: Floats | None = None,
    field: Field | None = None,
) -> SliceStack:
    """A stack centred on the world's origin; ``axes`` turns it, ``field`` gives its voxels.

    With gantry tilt the table moves along the untilted normal, so the origins drift in plane.
    """
    axes = np.eye(3) if axes is None else axes
    steps = np.broadcast_to(np.asarray(steps_mm, dtype=float), shape[0] - 1)
    tilt = np.radians(tilt_deg)
    row = axes @ [pixel_mm, 0.0, 0.0]
    column = axes @ (np.array([0.0, np.cos(tilt), np.sin(tilt)]) * pixel_mm)
    table = np.concatenate([[0.0], np.cumsum(steps)]) - steps.sum() / 2
    middle = table[:, None] * (axes @ [0.0, 0.0, 1.0])
    origins = middle - row * (shape[2] - 1) / 2 - column * (shape[1] - 1) / 2
    empty = SliceStack(np.zeros(shape, dtype=np.float32), origins, row, column)
    return empty if field is None else empty.with_voxels(field(positions(empty)))


def positions(stack: SliceStack) -> Floats:
    """World position of every voxel, (z, y, x, 3)."""
    index = np.stack(np.meshgrid(*map(np.arange, stack.shape), indexing="ij"), axis=-1)
    return stack.to_world(index.astype(float))


def ellipsoid(
    points: Floats, radii_mm: Sequence[float], centre: Sequence[float] = (0, 0, 0)
) -> NDArray[np.bool_]:
    """Which points lie inside an ellipsoid."""
    return (((points - np.asarray(centre)) / np.asarray(radii_mm)) ** 2).sum(axis=-1) <= 1.0


def head_hu(points: Floats) -> NDArray[np.float32]:
    """A head: scalp, skull, CSF and the brain of ``brain_hu``."""
    radii = np.array(BRAIN_RADII_MM)
    hu = np.full(points.shape[:-1], -1000.0, dtype=np.float32)
    hu[ellipsoid(points, radii + CSF_MM + SKULL_MM + SCALP_MM)] = 20.0
    hu[ellipsoid(points, radii + CSF_MM + SKULL_MM)] = 1000.0
    hu[ellipsoid(points, radii + CSF_MM)] = 8.0
    return np.where(ellipsoid(points, radii), brain_hu(points), hu).astype(np.float32)


def brain_hu(points: Floats) -> NDArray[np.float32]:
    """The brain alone, 0 outside it: enough structure for a registration to hold on to."""
    radii = np.array(BRAIN_RADII_MM)
    hu = np.where(ellipsoid(points, radii), 36.0, 0.0)
    hu[ellipsoid(points, radii - 9.0)] = 28.0
    for side in (-1.0, 1.0):
        hu[ellipsoid(points, (8.0, 30.0, 10.0), (side * 12.0, 0.0, 12.0))] = 6.0
        hu[ellipsoid(points, (8.0, 16.0, 10.0), (side * 26.0, -6.0, 2.0))] = 38.0
        hu[ellipsoid(points, (10.0, 10.0, 24.0), (side * 30.0, 48.0, -20.0))] = 37.0
    hu[ellipsoid(points, (12.0, 14.0, 12.0), (34.0, -34.0, 18.0))] = 22.0
    falx = (np.abs(points[..., 0]) < 1.5) & (points[..., 2] > 30.0) & ellipsoid(points, radii)
    hu[falx] = 60.0
    return hu.astype(np.float32)


def on_grid(field: Field, spacing_mm: float, half_mm: Sequence[float] = (92, 110, 92)) -> Volume:
    """A field sampled on an LPS grid centred on the origin."""
    half = np.asarray(half_mm, dtype=float)
    x, y, z = (int(2 * h / spacing_mm) + 1 for h in half)
    grid = lps_grid((z, y, x), spacing_mm, -half)
    return Volume(field(grid_points(grid)), grid.affine_lps)
