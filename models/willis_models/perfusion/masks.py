"""Brain, and the tissue in it that can be measured, in a slab that need not hold the whole head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from willis_models.imaging.components import Mask, fill_holes_by_slice, largest_component
from willis_models.perfusion.parameters import MaskParameters
from willis_models.volume import Array

_BRAIN_SIDES = 4
_GAP_MM = 12.0


@dataclass(frozen=True)
class Head:
    """Masks (z, y, x) of one slab.

    ``brain`` is what the skull holds, vessels and CSF included, without what lies beside orbital
    fat; ``bone_edge`` is its rim along the skull.
    """

    brain: Mask
    bone_edge: Mask

    @property
    def inner(self) -> Mask:
        """The brain without the rim, where bone blurs into what is measured."""
        return self.brain & ~self.bone_edge


def find_head(
    still_hu: Array, spacing_mm: tuple[float, float, float], parameters: MaskParameters
) -> Head:
    """Masks from a still image (z, y, x) in HU; all empty where no skull surrounds anything."""
    smooth = _smooth_in_plane(still_hu, parameters.still_sigma_mm, spacing_mm)
    bone = still_hu > parameters.bone_hu
    brain = _brain(smooth, bone, spacing_mm, parameters)
    return Head(brain, brain & _within_mm(bone, parameters.bone_margin_mm, spacing_mm))


def find_csf(
    still_hu: Array,
    head: Head,
    spacing_mm: tuple[float, float, float],
    parameters: MaskParameters,
) -> Mask:
    """What is far darker than the brain's median before the contrast comes.

    Not a fixed value: scanners differ by up to 10 HU.
    """
    smooth = _smooth_in_plane(still_hu, parameters.still_sigma_mm, spacing_mm)
    if not head.inner.any():
        return np.zeros_like(head.brain)
    median = float(np.median(smooth[head.inner]))
    return head.brain & (smooth < median - parameters.csf_below_median_hu)


def _brain(
    smooth: Array, bone: Mask, spacing_mm: tuple[float, float, float], parameters: MaskParameters
) -> Mask:
    soft = (smooth > parameters.brain_low_hu) & (smooth < parameters.brain_high_hu) & ~bone
    enclosed = _enclosed(bone, spacing_mm)
    soft &= enclosed
    fat = (smooth < parameters.fat_hu) & enclosed
    soft &= ~_within_mm(fat, parameters.eye_margin_mm, spacing_mm)
    core = largest_component(_deeper_than(soft, parameters.opening_mm, spacing_mm))
    brain = _within_mm(core, parameters.opening_mm + spacing_mm[2], spacing_mm) & soft
    return fill_holes_by_slice(largest_component(brain)) & ~bone


def _enclosed(bone: Mask, spacing_mm: tuple[float, ...]) -> Mask:
    """Voxels that bone surrounds in at least four of the six directions.

    A slab that shows neither skull base nor vertex closes on the four sides in plane. Of one side
    a near miss is enough: a skull has gaps, by nature or by a surgeon.
    """
    closed = _within_mm(bone, _GAP_MM / 2, spacing_mm)
    return (_sides(closed) >= _BRAIN_SIDES) & (_sides(bone) >= _BRAIN_SIDES - 1)


def _sides(bone: Mask) -> Array:
    """In how many of the six directions bone lies, (z, y, x)."""
    count = np.zeros(bone.shape, np.uint8)
    for axis in range(3):
        count += np.maximum.accumulate(bone, axis=axis)
        count += np.flip(np.maximum.accumulate(np.flip(bone, axis), axis=axis), axis)
    return count


def _smooth_in_plane(image: Array, sigma_mm: float, spacing_mm: tuple[float, ...]) -> Array:
    sigma = (0.0, sigma_mm / spacing_mm[1], sigma_mm / spacing_mm[2])
    return np.asarray(ndimage.gaussian_filter(image.astype(np.float32), sigma, truncate=3.0))


def _within_mm(mask: Mask, distance_mm: float, spacing_mm: tuple[float, ...]) -> Mask:
    """In plane: slices are too thick to say anything about their neighbours."""
    near = [
        ndimage.distance_transform_edt(~plane, sampling=spacing_mm[1:]) <= distance_mm
        if plane.any()
        else np.zeros_like(plane)
        for plane in mask
    ]
    return np.stack(near)


def _deeper_than(mask: Mask, distance_mm: float, spacing_mm: tuple[float, ...]) -> Mask:
    deep = [
        ndimage.distance_transform_edt(plane, sampling=spacing_mm[1:]) > distance_mm
        for plane in mask
    ]
    return np.stack(deep)
