"""What may be wrong in a simulated brain: fresh ischaemia, and the mimics that are not.

Every function returns coarse maps (every second voxel of the head's grid) and leaves its input
alone. Recipes in ``docs/simulation.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from willis_training.simulation.anatomy import Anatomy

Coarse = NDArray[np.float32]

GREY_SHARE_COVERED = 0.2
"""A region counts as affected when at least this share of its tissue lies in the lesion."""


@dataclass(frozen=True)
class Stroke:
    """An early infarct: its mask at the head's coarse grid (0 to 1), its drop and its swelling.

    ``drop_hu`` applies in full to grey matter and at 0.6 to white; ``swelling`` is the share of
    the sulcal CSF within the mask that is closed.
    """

    mask: Coarse
    drop_hu: float
    swelling: float = 0.0


@dataclass(frozen=True)
class Mimics:
    """Additive HU map, and a replacement map with its weight (old infarcts, lacunes)."""

    added_hu: Coarse
    replaced_hu: Coarse
    replaced_weight: Coarse


def soft_edge(stroke: Stroke, rng: np.random.Generator) -> Coarse:
    """The drop's weight: the mask blurred by 2-4 mm, with a smooth inhomogeneity."""
    blurred = ndimage.gaussian_filter(stroke.mask, float(rng.uniform(0.5, 1.2)))
    uneven = smooth_field(stroke.mask.shape, rng, 8.0, 0.15, 1.0)
    return np.asarray(blurred * uneven, dtype=np.float32)


def smooth_field(
    shape: tuple[int, ...], rng: np.random.Generator, cells: float, sd: float, mean: float = 0.0
) -> Coarse:
    """A smooth random field of a given SD; about ``cells`` coarse voxels a bump."""
    small = tuple(max(int(np.ceil(n / cells)) + 1, 3) for n in shape)
    noise = rng.normal(mean, sd, small).astype(np.float32)
    factors = [n / s for n, s in zip(shape, small, strict=True)]
    field = ndimage.zoom(noise, factors, order=1, grid_mode=True, mode="nearest")
    return np.asarray(field, dtype=np.float32)


def draw_mimics(
    anatomy: Anatomy, rng: np.random.Generator, old_infarct: Coarse | None = None
) -> Mimics:
    """Leukoaraiosis, lacunes, calcification, sulcal widening and, where given, an old infarct."""
    shape = anatomy.coarse_labels.shape
    added = np.zeros(shape, dtype=np.float32)
    replaced = np.full(shape, 12.0, dtype=np.float32)
    weight = np.zeros(shape, dtype=np.float32)
    if rng.random() < 0.45:
        added -= _leukoaraiosis(anatomy, rng)
    if rng.random() < 0.15:
        added += _calcification(anatomy, rng)
    if rng.random() < 0.3:
        weight = np.maximum(weight, _lacunes(anatomy, rng))
    if old_infarct is not None:
        weight = np.maximum(weight, ndimage.gaussian_filter(old_infarct, 0.5))
        replaced[...] = rng.uniform(5.0, 20.0)
    return Mimics(added, replaced, weight.astype(np.float32))


def _leukoaraiosis(anatomy: Anatomy, rng: np.random.Generator) -> Coarse:
    reach = rng.uniform(3.0, 12.0)
    fade = np.clip(1.0 - anatomy.ventricle_distance_mm / reach, 0.0, 1.0)
    patches = smooth_field(fade.shape, rng, 6.0, 0.25, 1.0)
    return np.where(anatomy.white, rng.uniform(3.0, 10.0) * fade * patches, 0.0).astype(np.float32)


def _calcification(anatomy: Anatomy, rng: np.random.Generator) -> Coarse:
    pallidum = np.isin(anatomy.coarse_labels, (13, 52))
    speckle = rng.random(pallidum.shape) < rng.uniform(0.02, 0.15)
    amount = rng.uniform(60.0, 300.0)
    spots = ndimage.gaussian_filter(np.where(pallidum & speckle, amount, 0.0), 0.6)
    return np.asarray(spots, dtype=np.float32)


def _lacunes(anatomy: Anatomy, rng: np.random.Generator) -> Coarse:
    deep = (anatomy.ventricle_distance_mm > 3) & (anatomy.ventricle_distance_mm < 25)
    candidates = np.argwhere(deep & anatomy.parenchyma)
    weight = np.zeros(deep.shape, dtype=np.float32)
    for centre in candidates[rng.integers(len(candidates), size=int(rng.integers(1, 4)))]:
        radius = rng.uniform(1.5, 6.0) / 2.0
        _stamp_ball(weight, centre, radius)
    return weight


def _stamp_ball(weight: Coarse, centre: NDArray[np.int64], radius: float) -> None:
    reach = int(np.ceil(radius)) + 1
    low = np.maximum(centre - reach, 0)
    window = tuple(slice(a, c + reach + 1) for a, c in zip(low, centre, strict=True))
    index = np.stack(
        np.meshgrid(
            *(
                np.arange(s.start, s.start + n)
                for s, n in zip(window, weight[window].shape, strict=True)
            ),
            indexing="ij",
        ),
        axis=-1,
    )
    distance = np.linalg.norm(index - centre, axis=-1)
    weight[window] = np.maximum(weight[window], np.clip(radius + 0.5 - distance, 0.0, 1.0))


def covered_shares(stroke: Stroke, anatomy: Anatomy) -> NDArray[np.float64]:
    """Share of each region's tissue inside the stroke's mask, (20,), labels 1-20."""
    regions = anatomy.regions[::2, ::2, ::2]
    tissue = anatomy.parenchyma & (regions > 0)
    total = np.bincount(regions[tissue], minlength=21)[1:]
    inside = np.bincount(regions[tissue & (stroke.mask > 0.5)], minlength=21)[1:]
    return np.asarray(inside / np.maximum(total, 1))
