"""Affine registration of a head to the template, with a figure of its quality.

SimpleITK, correlation of brain images (CT numbers are calibrated, so mutual information is not
needed), similarity first and then affine, coarse to fine. Single-threaded and without a random
sample: the same input gives the same transform.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from willis_models.errors import RegistrationFailed
from willis_models.volume import Floats, Volume


@dataclass(frozen=True)
class Registration:
    """``to_template`` maps the head's world to the template's, LPS mm (4, 4).

    ``similarity`` is the correlation of both images on the template's grid, -1 to 1: the brains'
    outlines count as well as what lies inside.
    """

    to_template: Floats
    similarity: float


@dataclass(frozen=True)
class RegistrationPlan:
    """Shrink factors for each level, and the optimiser's limits."""

    shrink_factors: tuple[int, ...]
    iterations: int
    step_mm: float
    pitches_deg: tuple[float, ...]


def register_affine(moving: Volume, template: Volume, plan: RegistrationPlan) -> Registration:
    """Align ``moving`` (brain only, elsewhere 0) with ``template`` (likewise).

    Starts from several pitches, because heads lie in the scanner with the chin up or down, and
    keeps the best. Raises RegistrationFailed where there is nothing to align or no start converges.
    """
    if not (moving.voxels > 0).any():
        raise RegistrationFailed("There is no brain tissue to align with the template.")
    fixed, image = to_sitk(template), to_sitk(moving)
    starts = [_initial(template, moving, pitch) for pitch in plan.pitches_deg]
    scored = sorted(
        (
            (_evaluate(fixed, image, start, plan.shrink_factors[0]), n)
            for n, start in enumerate(starts)
        )
    )
    try:
        similar = _optimise(fixed, image, starts[scored[0][1]], plan, plan.shrink_factors[:1])
        affine = _optimise(fixed, image, _as_affine(similar), plan, plan.shrink_factors)
    except RuntimeError as error:
        raise RegistrationFailed("The head could not be aligned with the template.") from error
    from_template = _matrix_of(affine)
    if abs(np.linalg.det(from_template[:3, :3])) < 0.2:
        raise RegistrationFailed("The alignment with the template collapsed.")
    similarity = -_evaluate(fixed, image, affine, 1)
    return Registration(inverse_of(from_template), similarity)


def register_rigid(moving: Volume, fixed: Volume, plan: RegistrationPlan) -> Registration:
    """Turn and shift ``moving`` onto ``fixed``, two images of one head on one scale of values.

    The answer's ``to_template`` takes world points of ``moving`` to ``fixed``. Starts from the
    scanner's own frame. Raises RegistrationFailed.
    """
    still, image = to_sitk(fixed), to_sitk(moving)
    rigid = sitk.Euler3DTransform()
    rigid.SetCenter(fixed.grid.to_world((np.array(fixed.grid.shape) - 1) / 2).tolist())
    try:
        found = _optimise(still, image, rigid, plan, plan.shrink_factors)
    except RuntimeError as error:
        raise RegistrationFailed("Two series of the study could not be aligned.") from error
    similarity = -_evaluate(still, image, found, 1)
    return Registration(inverse_of(_matrix_of(found)), similarity)


def to_sitk(volume: Volume) -> sitk.Image:
    """A volume on an orthogonal grid as a SimpleITK image in the same world frame."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.voxels, dtype=np.float32))
    spacing = volume.grid.spacing_mm[::-1]
    direction = volume.affine_lps[:3, 2::-1] / np.array(spacing)
    image.SetSpacing(spacing)
    image.SetDirection(direction.ravel().tolist())
    image.SetOrigin(volume.affine_lps[:3, 3].tolist())
    return image


def _initial(template: Volume, moving: Volume, pitch_deg: float) -> sitk.Similarity3DTransform:
    """Centres laid over each other, size from the brains' volumes."""
    centre, target = _centroid(template), _centroid(moving)
    half = np.radians(pitch_deg) / 2
    start = sitk.Similarity3DTransform()
    start.SetCenter(centre.tolist())
    start.SetTranslation((target - centre).tolist())
    start.SetRotation((float(np.sin(half)), 0.0, 0.0, float(np.cos(half))))
    start.SetScale(float(np.cbrt(_volume_ml(moving) / _volume_ml(template))))
    return start


def _volume_ml(volume: Volume) -> float:
    return float((volume.voxels > 0).sum() * volume.grid.voxel_ml)


def _as_affine(similar: sitk.Similarity3DTransform) -> sitk.AffineTransform:
    affine = sitk.AffineTransform(3)
    affine.SetCenter(similar.GetCenter())
    affine.SetMatrix(similar.GetMatrix())
    affine.SetTranslation(similar.GetTranslation())
    return affine


def _centroid(volume: Volume) -> Floats:
    """Centre of the upper brain: the lowest part may hold neck."""
    inside = np.argwhere(volume.voxels > 0)
    top = inside[:, 0].max()
    height = int(110 / volume.grid.spacing_mm[0])
    upper = inside[inside[:, 0] > top - height]
    return volume.grid.to_world(upper.mean(axis=0))


def _method(
    fixed: sitk.Image, moving: sitk.Image, factors: tuple[int, ...]
) -> sitk.ImageRegistrationMethod:
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsCorrelation()
    method.SetNumberOfThreads(1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetShrinkFactorsPerLevel(list(factors))
    method.SetSmoothingSigmasPerLevel([0.7 * f for f in factors])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOff()
    return method


def _optimise(
    fixed: sitk.Image,
    moving: sitk.Image,
    start: sitk.Transform,
    plan: RegistrationPlan,
    factors: tuple[int, ...],
) -> sitk.Transform:
    method = _method(fixed, moving, factors)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=plan.step_mm,
        minStep=1e-3,
        numberOfIterations=plan.iterations,
        gradientMagnitudeTolerance=1e-6,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(start, inPlace=True)
    method.Execute(fixed, moving)
    return start


def _evaluate(
    fixed: sitk.Image, moving: sitk.Image, transform: sitk.Transform, factor: int
) -> float:
    """Negative correlation under a transform: lower is better."""
    shrunk = [sitk.Shrink(image, [factor] * 3) for image in (fixed, moving)]
    resampled = sitk.Resample(shrunk[1], shrunk[0], transform, sitk.sitkLinear, 0.0)
    a, b = (sitk.GetArrayViewFromImage(image).ravel() for image in (shrunk[0], resampled))
    return -float(np.corrcoef(a, b)[0, 1]) if b.std() > 0 else 1.0


def _matrix_of(transform: sitk.AffineTransform) -> Floats:
    """The (4, 4) matrix of a centred affine transform, fixed to moving."""
    matrix = np.array(transform.GetMatrix()).reshape(3, 3)
    centre, shift = np.array(transform.GetCenter()), np.array(transform.GetTranslation())
    affine = np.eye(4)
    affine[:3, :3] = matrix
    affine[:3, 3] = centre + shift - matrix @ centre
    return affine


def inverse_of(matrix: Floats) -> Floats:
    """The affine that undoes an affine (4, 4)."""
    return np.asarray(np.linalg.inv(matrix), dtype=np.float64)


def apply_affine(matrix: Floats, points_lps: NDArray[np.float64]) -> Floats:
    """Map world points (..., 3) by a (4, 4) matrix."""
    return np.asarray(points_lps @ matrix[:3, :3].T + matrix[:3, 3])
