"""Many heads from one: a labelled scan, deformed smoothly by a known map and scanned again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from willis_models.imaging.resample import AIR_HU, bounding_grid, grid_points, shrink
from willis_models.pipelines.aspects.pipeline import ASPECTS
from willis_models.pipelines.base import analyse
from willis_models.runtime.bundle import latest_bundle
from willis_models.runtime.session import open_predictor
from willis_models.volume import Floats, Grid, SliceStack, Volume
from willis_training.curation.dicom_ct import read_axial_ct

SPACING_MM = 2.0
SUBSLICES = 2
REGIONS = 20


@dataclass(frozen=True)
class BaseHead:
    """A head in HU, and its regions 0-20 as soft one-hots (20, z, y, x) on the same grid."""

    hu: Volume
    regions: NDArray[np.float32]


@dataclass(frozen=True)
class Deformation:
    """Turn, scale and bend: each in units that say how much on average.

    Angles SD ``turn_deg``; scales SD ``scale``; displacements SD ``bend_mm`` that change over
    ``bend_scale_mm``.
    """

    turn_deg: float = 5.0
    scale: float = 0.04
    bend_mm: float = 3.0
    bend_scale_mm: float = 30.0


READING = Deformation(turn_deg=0.0, scale=0.0, bend_mm=1.2, bend_scale_mm=40.0)
SHELLS_MM_HU = ((7.0, 900.0), (12.0, 30.0))
"""Around the brain and its CSF, outwards: skull, scalp; up to which distance, and HU."""


@dataclass(frozen=True)
class Protocol:
    """How a head is scanned; ``noise_hu`` SD of a pixel."""

    slices: int = 28
    step_mm: float = 5.0
    matrix: int = 128
    field_of_view_mm: float = 230.0
    tilt_deg: float = 0.0
    noise_hu: float = 2.0


@dataclass(frozen=True)
class LabelledScan:
    """A scan in HU and the true regions 0-20 on its slices."""

    stack: SliceStack
    regions: NDArray[np.uint8]


def head_of_study(folder: Path) -> BaseHead:
    """The head of one CT study; its regions are those that the shipped network gives.

    Whether that network is right about the study does not matter: what is deformed is the truth.
    """
    image = read_axial_ct(folder)
    bundle = latest_bundle("aspects")
    case = {"ncct": image}
    predictor = open_predictor(bundle)
    labels = analyse(ASPECTS, case, bundle.manifest, bundle.assets, predictor).labels
    if labels is None:
        raise ValueError(f"The study in {folder} was rejected and can't be a base head.")
    return base_head(image.stack, labels)


def head_of_template(
    hu: Volume, brain: NDArray[np.bool_], atlas: NDArray[np.uint8], seed: int = 0
) -> BaseHead:
    """A head without a scan: a template's brain in a made-up skull.

    The regions are the atlas, bent by ``READING``: readers never see quite what an atlas shows.
    """
    spacing_mm = hu.grid.spacing_mm[0]
    depth_mm = ndimage.distance_transform_edt(~brain) * spacing_mm
    within = [depth_mm <= limit_mm for limit_mm, _ in SHELLS_MM_HU]
    painted = np.select(within, [value for _, value in SHELLS_MM_HU], default=AIR_HU)
    voxels = np.where(brain, hu.voxels, painted).astype(np.float32)
    bent = _Warp.draw(hu.grid, READING, np.random.default_rng(seed))(grid_points(hu.grid))
    index = np.moveaxis(hu.grid.to_index(bent), -1, 0)
    soft = [
        ndimage.map_coordinates(
            (atlas == label).astype(np.float32), index, order=1, output=np.float32
        )
        for label in range(1, REGIONS + 1)
    ]
    return BaseHead(Volume(voxels, hu.affine_lps), np.stack(soft))


def base_head(stack: SliceStack, labels: NDArray[np.uint8]) -> BaseHead:
    """A scan and its labels on a regular grid."""
    grid = bounding_grid(stack, SPACING_MM)
    index = np.moveaxis(shrink(stack, SPACING_MM).to_index(grid_points(grid)), -1, 0)

    def on_grid(voxels: NDArray[Any], outside: float) -> NDArray[np.float32]:
        coarse = shrink(stack.with_voxels(voxels), SPACING_MM).voxels
        sampled = ndimage.map_coordinates(
            coarse, index, order=1, cval=outside, output=np.float32, mode="constant"
        )
        return np.asarray(sampled)

    soft = [on_grid(labels == label, 0.0) for label in range(1, REGIONS + 1)]
    return BaseHead(Volume(on_grid(stack.voxels, AIR_HU), grid.affine_lps), np.stack(soft))


def scan_deformed(
    base: BaseHead, deformation: Deformation, protocol: Protocol, rng: np.random.Generator
) -> LabelledScan:
    """Another head, scanned: the same generator state gives the same scan and truth."""
    warp = _Warp.draw(base.hu.grid, deformation, rng)
    stack = _slices(base.hu.grid, protocol)
    hu = np.empty(stack.shape, dtype=np.int16)
    regions = np.zeros(stack.shape, dtype=np.uint8)
    plane = np.moveaxis(np.indices((1, *stack.shape[1:])), 0, -1)[0].astype(np.float64)
    for k in range(stack.shape[0]):
        plane[..., 0] = k
        points = stack.to_world(plane)
        hu[k] = np.rint(_slice_hu(base, warp, points, stack, protocol, rng))
        regions[k] = _regions_at(base, warp(points))
    return LabelledScan(stack.with_voxels(hu), regions)


def _slices(grid: Grid, protocol: Protocol) -> SliceStack:
    """Slices around the middle of a grid; with gantry tilt their origins drift in the plane."""
    middle = grid.to_world((np.array(grid.shape) - 1) / 2)
    tilt = np.radians(protocol.tilt_deg)
    pixel_mm = protocol.field_of_view_mm / protocol.matrix
    row, column = np.array([1.0, 0, 0]), np.array([0.0, np.cos(tilt), np.sin(tilt)])
    feed = np.arange(protocol.slices) - (protocol.slices - 1) / 2
    half = pixel_mm * (protocol.matrix - 1) / 2
    table = feed[:, None] * protocol.step_mm * np.array([0.0, 0.0, 1.0 / np.cos(tilt)])
    origins = middle + table - half * (row + column)
    voxels = np.zeros((protocol.slices, protocol.matrix, protocol.matrix), dtype=np.int16)
    return SliceStack(voxels, origins, row * pixel_mm, column * pixel_mm)


def _slice_hu(
    base: BaseHead,
    warp: _Warp,
    points: Floats,
    stack: SliceStack,
    protocol: Protocol,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """The mean over the slice's thickness, with noise."""
    offsets = (np.arange(SUBSLICES) - (SUBSLICES - 1) / 2) * protocol.step_mm / SUBSLICES
    parts = []
    for offset in offsets:
        index = base.hu.grid.to_index(warp(points + offset * stack.normal_lps))
        parts.append(
            ndimage.map_coordinates(
                base.hu.voxels, np.moveaxis(index, -1, 0), order=1, cval=AIR_HU, output=np.float64
            )
        )
    noise = rng.normal(0.0, protocol.noise_hu, points.shape[:-1])
    return np.asarray(np.maximum(np.mean(parts, axis=0) + noise, AIR_HU))


def _regions_at(base: BaseHead, points: Floats) -> NDArray[np.uint8]:
    index = np.moveaxis(base.hu.grid.to_index(points), -1, 0)
    best = np.full(points.shape[:-1], 0.5, dtype=np.float32)
    regions = np.zeros(points.shape[:-1], dtype=np.uint8)
    for label, soft in enumerate(base.regions, start=1):
        value = ndimage.map_coordinates(soft, index, order=1, output=np.float32)
        regions[value > best] = label
        best = np.maximum(best, value)
    return regions


@dataclass(frozen=True)
class _Warp:
    """From a new head's world to the base head's: affine about the middle, then a smooth bend."""

    matrix: Floats
    middle: Floats
    grid: Grid
    bend_mm: NDArray[np.float32]

    @staticmethod
    def draw(grid: Grid, deformation: Deformation, rng: np.random.Generator) -> _Warp:
        a, b, c = np.radians(rng.normal(0.0, deformation.turn_deg, 3))
        about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
        about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
        about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
        scale = np.diag(1.0 + rng.normal(0.0, deformation.scale, 3))
        middle = grid.to_world((np.array(grid.shape) - 1) / 2)
        bend = [_smooth(grid, deformation, rng) for _ in range(3)]
        return _Warp(about_z @ about_y @ about_x @ scale, middle, grid, np.stack(bend))

    def __call__(self, points: Floats) -> Floats:
        index = np.moveaxis(self.grid.to_index(points), -1, 0)
        bend = [
            ndimage.map_coordinates(part, index, order=1, mode="nearest") for part in self.bend_mm
        ]
        moved = (points - self.middle) @ self.matrix.T + self.middle
        return np.asarray(moved + np.stack(bend, axis=-1))


def _smooth(grid: Grid, deformation: Deformation, rng: np.random.Generator) -> NDArray[np.float32]:
    sigma = deformation.bend_scale_mm / np.array(grid.spacing_mm) / 2
    noise = rng.normal(size=grid.shape).astype(np.float32)
    smooth = ndimage.gaussian_filter(noise, sigma, mode="wrap")
    return np.asarray(smooth * deformation.bend_mm / smooth.std(), dtype=np.float32)
