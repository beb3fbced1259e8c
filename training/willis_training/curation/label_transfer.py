"""Carry the ASPECTS regions from MNI space into a head, and measure how well it went.

Caudate and lentiform nucleus come from the head's own labels; insula, internal capsule and M1-M6
come from the atlas through a smooth diffeomorphism, cut to the head's own hemispheres. Where
regions meet: caudate and lentiform > internal capsule > insula > M. Thalamus and ventricles belong
to no region. All positions are LPS mm, all arrays (z, y, x).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from willis_models.volume import Array, Grid, Volume
from willis_training.curation import label_codes as codes
from willis_training.metrics import dice

Mask = NDArray[np.bool_]
Labels = NDArray[np.uint8]
Floats = NDArray[np.float32]

CLOSING_MM = 3.0
SMOOTHING_MM = 1.0
SURFACE_SMOOTHING_MM = 1.5
MIN_PROBABILITY = 0.1
SURFACE_REACH_MM = 8.0


@dataclass(frozen=True)
class MniAtlas:
    """The template side of the transfer, each part with its own grid.

    ``t1`` skull-stripped, 0-1; ``grey``, ``white`` probabilities and ``brain`` mask on one grid;
    ``regions`` 0-20, 1-10 left and 11-20 right.
    """

    t1: Volume
    grey: Volume
    white: Volume
    brain: Volume
    regions: Volume


@dataclass(frozen=True)
class SmoothRegions:
    """Each region's smoothed one-hot in a box of the atlas grid: (first index, values 0-1)."""

    grid: Grid
    parts: tuple[tuple[NDArray[np.intp], Floats], ...]


@dataclass(frozen=True)
class TransferLimits:
    """Bounds outside which a head is not used for training."""

    jacobian_min: float = 0.0
    folded_fraction: float = 1e-5
    jacobian_p01: float = 0.2
    jacobian_p99: float = 4.0
    inverse_error_mean_mm: float = 0.3
    inverse_error_p95_mm: float = 1.0
    dice_lentiform: float = 0.65
    dice_white: float = 0.60
    dice_grey: float = 0.50
    smallest_region_ml: float = 0.8


@dataclass(frozen=True)
class TransferQuality:
    """How one transfer went, inside the brain.

    ``jacobian_*`` is the determinant of the deformable part alone (1 = no change of volume);
    ``affine_scale`` that of the affine part, head to template. The errors are of forward followed
    by inverse. The overlaps compare the warped template with the head's own labels.
    """

    jacobian_min: float
    jacobian_p01: float
    jacobian_p99: float
    folded_fraction: float
    affine_scale: float
    inverse_error_mean_mm: float
    inverse_error_p95_mm: float
    dice_lentiform: float
    dice_lentiform_affine: float
    dice_grey: float
    dice_white: float
    dice_csf: float
    volumes_ml: tuple[float, ...]

    def failures(self, limits: TransferLimits) -> tuple[str, ...]:
        """One sentence for each bound that is broken; empty where the head may be used."""
        small = min(self.volumes_ml) < limits.smallest_region_ml
        checks = (
            (self.jacobian_min <= limits.jacobian_min, "the warp folds"),
            (self.folded_fraction > limits.folded_fraction, "too many folded voxels"),
            (self.jacobian_p01 < limits.jacobian_p01, "the warp shrinks too much"),
            (self.jacobian_p99 > limits.jacobian_p99, "the warp stretches too much"),
            (self.inverse_error_mean_mm > limits.inverse_error_mean_mm, "mean inverse error"),
            (self.inverse_error_p95_mm > limits.inverse_error_p95_mm, "95th inverse error"),
            (self.dice_lentiform < limits.dice_lentiform, "the lentiform nuclei do not meet"),
            (self.dice_white < limits.dice_white, "the white matter does not meet"),
            (self.dice_grey < limits.dice_grey, "the grey matter does not meet"),
            (small, "a region is too small"),
        )
        return tuple(reason for broken, reason in checks if broken)

    def passes(self, limits: TransferLimits) -> bool:
        """Whether every bound holds."""
        return not self.failures(limits)


def paint_t1(labels: Array) -> Floats:
    """A T1-like image, 0-1, of the brain in a SynthSeg label map; nothing outside the brain."""
    table = np.zeros(max(int(labels.max()), 1000) + 1, dtype=np.float32)
    for mean, members in codes.T1_MEANS.items():
        table[list(members)] = mean / 160.0
    return np.asarray(np.where(brain_mask(labels), table[labels.astype(np.intp)], 0.0), np.float32)


def brain_mask(labels: Array) -> Mask:
    """Parenchyma and ventricles, with the sulci and cisterns that a 3-mm closing reaches."""
    tissue = np.isin(labels, (*codes.PARENCHYMA_CODES, *codes.VENTRICLE_CODES))
    return close(tissue, CLOSING_MM) & (np.isin(labels, codes.CSF_CODES) | tissue)


def close(mask: Mask, radius_mm: float, spacing_mm: float = 1.0) -> Mask:
    """Morphological closing with a ball, by distance: cheap at any radius; border-safe."""
    reach = int(np.ceil(radius_mm / spacing_mm)) + 1
    padded = np.pad(mask, reach)
    grown = ndimage.distance_transform_edt(~padded, spacing_mm) <= radius_mm
    closed = ndimage.distance_transform_edt(grown, spacing_mm) > radius_mm
    inner = slice(reach, -reach)
    return np.asarray(closed[inner, inner, inner] | mask)


def extend_to_surface(regions: Labels, brain: Mask, reach_mm: float = SURFACE_REACH_MM) -> Labels:
    """Let the cortical regions run on past the template's surface, slice by slice (1 mm).

    A head's gyri may lie a little outside the template's; growing within axial slices keeps the
    floor and the ceiling of the regions where the atlas has them.
    """
    cortical = np.where(_is_cortical(regions), regions, 0)
    extended = regions.copy()
    for k in np.flatnonzero(cortical.any(axis=(1, 2))):
        distance, nearest = ndimage.distance_transform_edt(cortical[k] == 0, return_indices=True)
        grows = (regions[k] == 0) & ~brain[k] & (distance <= reach_mm)
        extended[k][grows] = cortical[k][tuple(nearest)][grows]
    return extended


def _is_cortical(regions: Array) -> Mask:
    within_side = (regions.astype(np.int16) - 1) % codes.RIGHT_OFFSET + 1
    return np.asarray((regions > 0) & (within_side >= codes.FIRST_CORTICAL))


def smooth_regions(regions: Volume) -> SmoothRegions:
    """The 20 regions as smoothed one-hots, ready to be carried into many heads."""
    sigma = [SMOOTHING_MM / step for step in regions.grid.spacing_mm]
    margin = int(np.ceil(4 * max(sigma)))
    parts = []
    for label in range(1, 2 * codes.RIGHT_OFFSET + 1):
        hits = np.argwhere(regions.voxels == label)
        low = np.maximum(hits.min(axis=0) - margin, 0)
        high = np.minimum(hits.max(axis=0) + margin + 1, regions.voxels.shape)
        box = tuple(slice(int(start), int(stop)) for start, stop in zip(low, high, strict=True))
        one_hot = (regions.voxels[box] == label).astype(np.float32)
        parts.append((low, ndimage.gaussian_filter(one_hot, sigma, mode="constant")))
    return SmoothRegions(regions.grid, tuple(parts))


def region_probabilities(regions: SmoothRegions, mni_lps: Floats) -> list[Floats]:
    """The 20 regions at the given MNI positions (z, y, x, 3), by linear interpolation, 0-1."""
    index = np.moveaxis(regions.grid.to_index(mni_lps), -1, 0).astype(np.float32)
    result = []
    for start, smooth in regions.parts:
        carried = np.zeros(mni_lps.shape[:3], dtype=np.float32)
        near = np.ones(mni_lps.shape[:3], dtype=np.bool_)
        for axis in range(3):
            near &= (index[axis] >= start[axis]) & (index[axis] <= start[axis] + smooth.shape[axis])
        wanted = index[:, near] - start[:, None]
        carried[near] = ndimage.map_coordinates(smooth, wanted, order=1, prefilter=False)
        result.append(carried)
    return result


def carve_regions(
    labels: Array, probabilities: Sequence[Floats], spacing_mm: float = 1.0
) -> Labels:
    """Regions 0-20 of a head from its own labels and the warped atlas, by the rules above."""
    regions = np.zeros(labels.shape, dtype=np.uint8)
    for side in (0, 1):
        first = side * codes.RIGHT_OFFSET
        carried = probabilities[first : first + codes.RIGHT_OFFSET]
        own = _carve_side(labels, carried, side, spacing_mm)
        regions[own > 0] = own[own > 0] + first
    return regions


def _carve_side(
    labels: Array, probabilities: Sequence[Floats], side: int, spacing_mm: float
) -> Labels:
    """Regions 1-10 of one side."""
    hemisphere = _hemisphere(labels, side, spacing_mm)
    carried = probabilities[codes.INSULA - 1 :]
    elsewhere = np.maximum(1.0 - sum(probabilities), MIN_PROBABILITY)
    winner = np.argmax(np.stack([elsewhere, *carried]), axis=0)
    regions = np.where(winner > 0, winner + codes.INSULA - 1, 0).astype(np.uint8)
    regions[~hemisphere] = 0
    white = np.isin(labels, codes.WHITE_CODES[side])
    regions[(regions == codes.INTERNAL_CAPSULE) & ~white] = 0
    regions = _tidy(regions)
    own = (codes.CAUDATE, codes.CAUDATE_CODES), (codes.LENTIFORM, codes.LENTIFORM_CODES)
    for label, nucleus in own:
        regions[largest_component(np.isin(labels, nucleus[side]))] = label
    return regions


def _hemisphere(labels: Array, side: int, spacing_mm: float) -> Mask:
    """One cerebral hemisphere, sulci closed, surface smooth, without what has no region."""
    closed = close(np.isin(labels, codes.HEMISPHERE_CODES[side]), CLOSING_MM, spacing_mm)
    sigma = SURFACE_SMOOTHING_MM / spacing_mm
    closed = ndimage.gaussian_filter(closed.astype(np.float32), sigma) > 0.5
    foreign = (
        *codes.VENTRICLE_CODES,
        *codes.CEREBELLUM_CODES,
        *codes.BRAINSTEM_CODES,
        *codes.THALAMUS_CODES[0],
        *codes.THALAMUS_CODES[1],
        *codes.HEMISPHERE_CODES[1 - side],
    )
    outside_head = labels >= 500
    return np.asarray(closed & ~np.isin(labels, foreign) & ~outside_head)


def _tidy(regions: Labels) -> Labels:
    """Keep each region's largest piece and fill its holes where nothing else lies."""
    tidy = np.zeros_like(regions)
    for label, box in enumerate(ndimage.find_objects(regions), start=1):
        if box is not None:
            piece = largest_component(regions[box] == label)
            filled = ndimage.binary_fill_holes(piece) & (regions[box] == 0)
            tidy[box][piece | filled] = label
    return tidy


def largest_component(mask: Mask) -> Mask:
    """The largest face-connected piece of a mask."""
    pieces, count = ndimage.label(mask)
    if count < 2:
        return mask
    return np.asarray(pieces == np.argmax(np.bincount(pieces.ravel())[1:]) + 1)


def jacobian_determinant(displacement_mm: Floats, spacing_mm: float) -> Floats:
    """Determinant of d(x + u)/dx for a field (z, y, x, 3) with components (x, y, z) in mm."""
    by_axis = [np.gradient(displacement_mm, spacing_mm, axis=axis) for axis in (2, 1, 0)]
    gradient = np.stack(by_axis, axis=-1) + np.eye(3, dtype=np.float32)
    return np.asarray(np.linalg.det(gradient), dtype=np.float32)


def inverse_error_mm(forward_mm: Floats, inverse_mm: Floats, spacing_mm: float) -> Floats:
    """Distance (z, y, x) between each point and its image under forward, then inverse."""
    index = np.indices(forward_mm.shape[:3], dtype=np.float32)
    moved = index + np.moveaxis(forward_mm, -1, 0)[::-1] / spacing_mm
    back = [
        ndimage.map_coordinates(inverse_mm[..., axis], moved, order=1, mode="nearest")
        for axis in range(3)
    ]
    return np.asarray(np.linalg.norm(forward_mm + np.stack(back, axis=-1), axis=-1))


def region_volumes_ml(regions: Labels, voxel_ml: float) -> tuple[float, ...]:
    """Volume of each of the 20 regions."""
    counts = np.bincount(regions.ravel(), minlength=2 * codes.RIGHT_OFFSET + 1)
    return tuple(float(count * voxel_ml) for count in counts[1 : 2 * codes.RIGHT_OFFSET + 1])


def lentiform_dice(labels: Array, probabilities: Sequence[Floats]) -> float:
    """Overlap of the warped atlas lentiform nuclei with the head's own, both sides together."""
    warped = sum(probabilities[codes.LENTIFORM - 1 :: codes.RIGHT_OFFSET]) > 0.5
    return dice(np.asarray(warped), np.isin(labels, sum(codes.LENTIFORM_CODES, ())))


def tissue_dice(labels: Array, atlas: MniAtlas, mni_lps: Floats, inside: Mask) -> list[float]:
    """Overlap of the template's grey, white and CSF with the head's, inside its brain."""
    index = np.moveaxis(atlas.brain.grid.to_index(mni_lps), -1, 0).astype(np.float32)
    at_brain = index[:, inside]
    grey, white, brain = (
        ndimage.map_coordinates(part.voxels, at_brain, output=np.float32, order=1)
        for part in (atlas.grey, atlas.white, atlas.brain)
    )
    template = np.argmax(np.stack([grey, white, brain - grey - white]), axis=0)
    own = labels[inside]
    members = (codes.GREY_CODES, codes.WHITE_MATTER_CODES, codes.CSF_CODES)
    return [dice(template == number, np.isin(own, wanted)) for number, wanted in enumerate(members)]
