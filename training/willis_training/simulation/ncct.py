"""A simulated non-contrast head CT: a labelled head, scanned, with its truth on the same slices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from willis_models.imaging.resample import AIR_HU
from willis_models.volume import SliceStack
from willis_training.curation.label_codes import CSF_CODES
from willis_training.simulation.anatomy import Anatomy, to_fine
from willis_training.simulation.pathology import (
    GREY_SHARE_COVERED,
    Coarse,
    Mimics,
    Stroke,
    covered_shares,
    draw_mimics,
    smooth_field,
    soft_edge,
)
from willis_training.simulation.scanner import Scanner, rotation, slice_origins
from willis_training.simulation.tissue import (
    CORTEX,
    GREY,
    WHITE,
    Attenuation,
    draw_attenuation,
    membership,
)

SUBSLICE_MM = 1.7
WHITE_SHARE_OF_DROP = 0.6
DISPLACEMENT_STRIDE = 8


@dataclass(frozen=True)
class Warp:
    """Displacement in voxels of the head's grid, on every 16th voxel: (3, z, y, x)."""

    field: NDArray[np.float32]
    step: float

    def at(self, index: NDArray[np.float64]) -> NDArray[np.float32]:
        """Displacement (..., 3) at head indices (..., 3)."""
        where = np.moveaxis(index, -1, 0) / self.step
        found = [
            ndimage.map_coordinates(f, where, order=1, mode="nearest", output=np.float32)
            for f in self.field
        ]
        return np.stack(found, axis=-1)


@dataclass(frozen=True)
class Placement:
    """Where the head lies in the scanner, and how its shape was changed."""

    anatomy: Anatomy
    scanner: Scanner
    warp: Warp

    def head_index(self, world_lps: NDArray[np.float64]) -> NDArray[np.float32]:
        """Head indices (..., 3) of scanner world points (..., 3)."""
        index = self.anatomy.grid.to_index(world_lps @ rotation(self.scanner))
        return (index + self.warp.at(index)).astype(np.float32)

    def regions_at(self, world_lps: NDArray[np.float64]) -> NDArray[np.uint8]:
        """True region label (0-20) at scanner world points (..., 3)."""
        return _nearest(self.anatomy.regions, self.head_index(world_lps))


@dataclass(frozen=True)
class SimulatedScan:
    """A scan and its truth: regions (0-20) on its slices, covered share of each region, drop."""

    stack: SliceStack
    regions: NDArray[np.uint8]
    covered: NDArray[np.float64]
    drop_hu: float
    placement: Placement

    @property
    def affected(self) -> NDArray[np.bool_]:
        """Tissue truth for labels 1-20: at least 20% covered."""
        return self.covered >= GREY_SHARE_COVERED


def simulate(
    anatomy: Anatomy,
    scanner: Scanner,
    rng: np.random.Generator,
    stroke: Stroke | None = None,
    old_infarct: Coarse | None = None,
) -> SimulatedScan:
    """Scan a head. The same generator state gives the same scan."""
    attenuation = draw_attenuation(rng)
    mimics = draw_mimics(anatomy, rng, old_infarct)
    hu = paint(anatomy, attenuation, mimics, stroke, scanner, rng)
    stack = _empty_stack(anatomy, scanner, rng)
    placement = Placement(anatomy, scanner, draw_warp(anatomy, rng))
    voxels = np.empty(stack.shape, dtype=np.int16)
    regions = np.empty(stack.shape, dtype=np.uint8)
    for k in range(stack.shape[0]):
        index = _pixel_index(placement, stack, k)
        voxels[k] = np.rint(_slice_hu(hu, index, stack, scanner, rng, anatomy)).astype(np.int16)
        regions[k] = _nearest(anatomy.regions, index)
    none = np.zeros(20)
    return SimulatedScan(
        stack=stack.with_voxels(voxels),
        regions=regions,
        covered=covered_shares(stroke, anatomy) if stroke else none,
        drop_hu=stroke.drop_hu if stroke else 0.0,
        placement=placement,
    )


def paint(
    anatomy: Anatomy,
    attenuation: Attenuation,
    mimics: Mimics,
    stroke: Stroke | None,
    scanner: Scanner,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """HU on the head's 1-mm grid: tissue, texture, mimics, stroke, beam hardening."""
    labels = anatomy.labels
    hu = attenuation.paint(labels)
    shape = labels.shape
    brain = membership((*GREY, *WHITE, *CSF_CODES))[labels]
    changes = smooth_field(anatomy.coarse_labels.shape, rng, 5.0, 0.8)
    changes += scanner.hardening_hu * np.exp(-anatomy.bone_distance_mm / 8.0)
    changes += mimics.added_hu
    hu += brain * to_fine(changes, shape)
    weight = brain * to_fine(mimics.replaced_weight, shape)
    hu += weight * (float(mimics.replaced_hu.flat[0]) - hu)
    _widen_sulci(hu, anatomy, attenuation, rng)
    if stroke is not None:
        _darken(hu, anatomy, attenuation, stroke, rng)
    return hu


def _widen_sulci(
    hu: NDArray[np.float32], anatomy: Anatomy, attenuation: Attenuation, rng: np.random.Generator
) -> None:
    """Atrophy: cortex gives way to CSF where CSF is near."""
    amount = rng.uniform(0.0, 0.6)
    near = ndimage.gaussian_filter(membership(CSF_CODES)[anatomy.coarse_labels], 0.8)
    labels = anatomy.labels
    share = amount * to_fine(near, labels.shape) * membership(CORTEX)[labels]
    hu += share * (attenuation.hu[24] - hu)


def _darken(
    hu: NDArray[np.float32],
    anatomy: Anatomy,
    attenuation: Attenuation,
    stroke: Stroke,
    rng: np.random.Generator,
) -> None:
    """Early ischaemia: grey matter in full, white at 0.6, sulci partly closed."""
    labels = anatomy.labels
    edge = to_fine(soft_edge(stroke, rng), labels.shape)
    tissue = membership(GREY) + WHITE_SHARE_OF_DROP * membership(WHITE)
    hu -= stroke.drop_hu * edge * tissue[labels]
    swollen = stroke.swelling * np.clip(edge, 0.0, 1.0) * membership((24,))[labels]
    hu += swollen * (attenuation.hu[3] - stroke.drop_hu - hu)


def _empty_stack(anatomy: Anatomy, scanner: Scanner, rng: np.random.Generator) -> SliceStack:
    brain = anatomy.grid.to_world(np.argwhere(anatomy.parenchyma)[::50] * 2.0)
    points = brain @ rotation(scanner).T
    margins = (float(rng.uniform(0.0, 12.0)), float(rng.uniform(6.0, 14.0)))
    origins, column = slice_origins(scanner, points, margins)
    empty = np.broadcast_to(np.int16(0), (len(origins), scanner.matrix, scanner.matrix))
    row_step = np.array([scanner.pixel_mm, 0.0, 0.0])
    return SliceStack(empty, origins, row_step, column * scanner.pixel_mm)


def draw_warp(anatomy: Anatomy, rng: np.random.Generator) -> Warp:
    """A smooth change of shape (SD 2.5 mm over 4 cm) and wider or narrower ventricles."""
    shape = anatomy.coarse_labels[::8, ::8, ::8].shape
    bumps = np.stack([smooth_field(shape, rng, 2.5, 2.5) for _ in range(3)])
    widening_mm = rng.uniform(-1.5, 5.0)
    push = ndimage.uniform_filter(anatomy.ventricle_push, (0, 3, 3, 3))[:, ::8, ::8, ::8]
    return Warp((bumps - widening_mm * push).astype(np.float32), 16.0)


def _pixel_index(placement: Placement, stack: SliceStack, k: int) -> NDArray[np.float32]:
    """Head indices (rows, columns, 3) of the centres of slice ``k``'s pixels.

    The change of shape is smooth, so it is evaluated sparsely and interpolated.
    """
    size = placement.scanner.matrix
    j, i = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    world = (
        stack.origins_lps[k]
        + j[..., None] * stack.column_step_lps
        + i[..., None] * stack.row_step_lps
    )
    index = placement.anatomy.grid.to_index(world @ rotation(placement.scanner))
    sparse = placement.warp.at(index[::DISPLACEMENT_STRIDE, ::DISPLACEMENT_STRIDE])
    dense = _zoom_in_plane(sparse, DISPLACEMENT_STRIDE, size)
    return (index + dense).astype(np.float32)


def _zoom_in_plane(sparse: NDArray[np.float32], stride: int, size: int) -> NDArray[np.float32]:
    """Bilinear interpolation of values (m, m, c) at every ``stride``-th pixel to all pixels."""
    where = np.arange(size) / stride
    low = np.minimum(where.astype(int), len(sparse) - 1)
    high = np.minimum(low + 1, len(sparse) - 1)
    weight = (where - low).astype(np.float32)
    rows = sparse[low] * (1 - weight)[:, None, None] + sparse[high] * weight[:, None, None]
    dense = rows[:, low] * (1 - weight)[:, None] + rows[:, high] * weight[:, None]
    return np.asarray(dense, dtype=np.float32)


def _slice_hu(
    hu: NDArray[np.float32],
    index: NDArray[np.float32],
    stack: SliceStack,
    scanner: Scanner,
    rng: np.random.Generator,
    anatomy: Anatomy,
) -> NDArray[np.float32]:
    """One thick slice: sub-slices averaged, blurred by the detector, with its noise."""
    count = max(round(scanner.thickness_mm / SUBSLICE_MM), 1)
    normal = rotation(scanner).T @ stack.normal_lps
    step = np.linalg.inv(anatomy.head.affine_lps[:3, :3]) @ normal
    offsets = (np.arange(count) - (count - 1) / 2) * scanner.thickness_mm / count
    total = np.zeros(index.shape[:2], dtype=np.float32)
    for offset in offsets:
        where = np.moveaxis(index + (offset * step).astype(np.float32), -1, 0)
        total += ndimage.map_coordinates(
            hu, where, order=1, mode="constant", cval=-1000.0, output=np.float32
        )
    blurred = ndimage.gaussian_filter(total / count, 0.5 / scanner.pixel_mm)
    noisy = blurred + scanner.noise_hu * ct_noise(blurred.shape, scanner.pixel_mm, rng)
    return np.asarray(np.clip(noisy, AIR_HU, 3000.0), dtype=np.float32)


def ct_noise(
    shape: tuple[int, int], pixel_mm: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Noise of SD 1 with the texture of filtered back-projection: white x (ramp x MTF^2)."""
    fy, fx = np.fft.fftfreq(shape[0], pixel_mm), np.fft.rfftfreq(shape[1], pixel_mm)
    frequency = np.hypot(fy[:, None], fx[None])
    gain = np.sqrt(frequency) * np.exp(-((frequency / 0.5) ** 2))
    spectrum = np.fft.rfft2(rng.standard_normal(shape)) * gain
    noise = np.fft.irfft2(spectrum, shape)
    return np.asarray(noise / noise.std(), dtype=np.float32)


def _nearest(values: NDArray[np.uint8], index: NDArray[np.float32]) -> NDArray[np.uint8]:
    rounded = np.rint(index).astype(np.int32)
    inside = ((rounded >= 0) & (rounded < np.array(values.shape))).all(axis=-1)
    found = np.zeros(inside.shape, dtype=np.uint8)
    k, j, i = (rounded[..., a][inside] for a in range(3))
    found[inside] = values[k, j, i]
    return found
