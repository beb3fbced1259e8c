"""Brain extraction from non-contrast CT, on a coarse isotropic grid.

After Muschelli et al. 2015 (doi:10.1016/j.neuroimage.2015.03.074) in spirit: soft tissue between
two thresholds, opened so that the scalp lets go, largest piece, holes filled. What is found is
checked for plausibility before anything is scored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from willis_models.errors import BrainNotPlausible
from willis_models.imaging.components import (
    Mask,
    fill_holes_by_slice,
    grow,
    largest_component,
    shrink_mask,
)
from willis_models.volume import Volume


@dataclass(frozen=True)
class BrainLimits:
    """What counts as soft tissue, and what a plausible brain is."""

    low_hu: float
    high_hu: float
    bone_hu: float
    opening_mm: float
    min_volume_ml: float
    max_volume_ml: float
    min_extent_mm: tuple[float, float, float]
    min_component_share: float


def extract_brain(volume: Volume, limits: BrainLimits) -> Mask:
    """Mask (z, y, x) of brain and its CSF inside the skull, on an isotropic grid.

    The neck may still hang on at the foramen magnum: ``cut_below`` removes it once the head is
    registered.
    """
    spacing = volume.grid.spacing_mm[0]
    smooth = ndimage.gaussian_filter(volume.voxels, 1.0 / spacing)
    soft = (smooth > limits.low_hu) & (smooth < limits.high_hu)
    soft &= ~grow(volume.voxels > limits.bone_hu, 0.5) & _enclosed_by_bone(volume, limits)
    core = largest_component(shrink_mask(soft, limits.opening_mm / spacing))
    if not core.any():
        raise BrainNotPlausible("No soft tissue was found inside a skull: is this a head CT?")
    brain = grow(core, limits.opening_mm / spacing + 0.5) & soft
    return fill_holes_by_slice(largest_component(brain))


def _enclosed_by_bone(volume: Volume, limits: BrainLimits) -> Mask:
    """Voxels that bone surrounds in at least four of the six axis directions."""
    bone = volume.voxels > limits.bone_hu
    count = np.zeros(bone.shape, dtype=np.uint8)
    for axis in range(3):
        count += np.maximum.accumulate(bone, axis=axis)
        count += np.flip(np.maximum.accumulate(np.flip(bone, axis), axis=axis), axis)
    return np.asarray(count >= 4)


def check_plausible(brain: Mask, spacing_mm: float, limits: BrainLimits) -> float:
    """Volume of the brain in mL. Raises BrainNotPlausible where it can't be a whole adult brain."""
    volume_ml = float(brain.sum()) * spacing_mm**3 / 1000.0
    if not limits.min_volume_ml <= volume_ml <= limits.max_volume_ml:
        raise BrainNotPlausible(
            f"The brain mask holds {volume_ml:.0f} mL; an adult brain holds "
            f"{limits.min_volume_ml:.0f}-{limits.max_volume_ml:.0f} mL. Coverage may be incomplete."
        )
    share = float(largest_component(brain).sum() / brain.sum())
    if share < limits.min_component_share:
        raise BrainNotPlausible(f"The brain mask is in pieces: the largest holds {share:.0%}.")
    extent = [float(np.ptp(np.flatnonzero(brain.any(axis=_others(a))))) + 1 for a in range(3)]
    for length, least, name in zip(
        extent, limits.min_extent_mm, ("height", "length", "width"), strict=True
    ):
        if length * spacing_mm < least:
            raise BrainNotPlausible(
                f"The brain's {name} of {length * spacing_mm:.0f} mm is under {least:.0f} mm."
            )
    return volume_ml


def _others(axis: int) -> tuple[int, ...]:
    return tuple(a for a in range(3) if a != axis)
