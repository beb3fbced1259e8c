"""A still CT laid on the perfusion scan: the patient may have moved between the two."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from willis_models.errors import RegistrationFailed
from willis_models.imaging.register import (
    RegistrationPlan,
    apply_affine,
    inverse_of,
    register_rigid,
)
from willis_models.imaging.resample import bounding_grid, resample_stack, sample_stack, shrink
from willis_models.pipelines.infarct.parameters import AlignmentParameters
from willis_models.volume import Array, Floats, SliceStack, Volume

SHRINK_FACTORS = (2, 1)


@dataclass(frozen=True)
class Aligned:
    """A still series, and where it lies on the perfusion scan.

    ``from_reference`` (4, 4) takes world points of the perfusion scan to those of ``stack``;
    ``shift_mm`` is how far the middle of the scan moved.
    """

    stack: SliceStack
    from_reference: Floats
    shift_mm: float
    similarity: float

    def sample(self, points_lps: Array, spacing_mm: float, fill: float) -> Array:
        """Its values at world points (..., 3) of the perfusion scan, averaged to a spacing."""
        points = apply_affine(self.from_reference, points_lps)
        return sample_stack(shrink(self.stack, spacing_mm), points, fill)


def align(stack: SliceStack, reference: SliceStack, parameters: AlignmentParameters) -> Aligned:
    """Lay a still CT on the perfusion scan's mean image by a rigid movement.

    Raises RegistrationFailed where they don't come to match.
    """
    plan = RegistrationPlan(SHRINK_FACTORS, parameters.iterations, parameters.step_mm, (0.0,))
    fixed, moving = (_windowed(one, parameters) for one in (reference, stack))
    found = register_rigid(moving, fixed, plan)
    from_reference = inverse_of(found.to_template)
    middle = fixed.grid.to_world((np.array(fixed.grid.shape) - 1) / 2)
    shift_mm = float(np.linalg.norm(apply_affine(from_reference, middle) - middle))
    if found.similarity < parameters.min_similarity or shift_mm > parameters.max_shift_mm:
        raise RegistrationFailed(
            f"It matches the perfusion scan with a correlation of {found.similarity:.2f} after a "
            f"shift of {shift_mm:.0f} mm; at least {parameters.min_similarity:.2f} within "
            f"{parameters.max_shift_mm:.0f} mm is needed."
        )
    return Aligned(stack, from_reference, shift_mm, found.similarity)


def _windowed(stack: SliceStack, parameters: AlignmentParameters) -> Volume:
    """The head in a window of brain and the bone's edge, in which contrast agent weighs little."""
    low, high = parameters.brain_low_hu, parameters.brain_high_hu
    coarse = resample_stack(stack, bounding_grid(stack, parameters.grid_mm), fill=low)
    return coarse.with_voxels(np.clip(coarse.voxels, low, high) - low)
