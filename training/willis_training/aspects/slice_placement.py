"""One axial slice without a volume, laid into MNI space: which level, which pitch, which affine.

The slice's brain is compared with planes cut through the bundle's template at many heights and
pitches. Nothing says how the head lay otherwise, so a roll of the head stays uncorrected.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from willis_models.errors import RegistrationFailed
from willis_models.imaging.components import Mask
from willis_models.volume import Floats, SliceStack, Volume

Plane = NDArray[np.float32]

LEVELS_MM = tuple(float(mm) for mm in range(-36, 73, 4))
PITCHES_DEG = (-20.0, -10.0, 0.0, 10.0, 20.0)
TURNS_DEG = tuple(float(deg) for deg in range(-40, 41, 10))
REFINING_STEPS = ((-2.0, 0.0), (2.0, 0.0), (0.0, -5.0), (0.0, 5.0))
"""(height mm, pitch degrees) around the best plane."""
PIXEL_MM = (0.32, 0.66)
"""Plausible sizes of a pixel once the head is scaled to the template."""
MAX_STRETCH = 1.2
KEPT_STARTS = 20
BLOCK = 4
TISSUE_HU = 2.0
MIN_SHARED_PIXELS = 100
SLAB_PLANES, SLAB_STEP_MM = 5, 2.0


@dataclass(frozen=True)
class PlacedSlice:
    """Copies of the slice as a slab in MNI world, LPS mm, and the plane that was found.

    ``level_mm`` is the MNI height at y = 0; a positive pitch lifts the posterior edge;
    ``agreement`` with the template's plane is half Dice of the outlines, half correlation within.
    """

    stack: SliceStack
    level_mm: float
    pitch_deg: float
    agreement: float

    @property
    def middle(self) -> int:
        """Index of the slab's middle slice."""
        return self.stack.shape[0] // 2


@dataclass(frozen=True)
class _Cut:
    """A plane through the template; the image's world is (x, v) in mm, v from front to back."""

    level_mm: float
    pitch_deg: float
    image: sitk.Image

    @property
    def brain_mm2(self) -> float:
        step_x, step_v = self.image.GetSpacing()
        return float((sitk.GetArrayViewFromImage(self.image) > TISSUE_HU).sum() * step_x * step_v)


@dataclass(frozen=True)
class _Fit:
    """A transform from a cut's plane (mm) to pixels of the slice, and how well they agree."""

    agreement: float
    cut: _Cut
    transform: sitk.Transform


def place_slice(hu: Plane, brain: Mask, template: Volume) -> PlacedSlice:
    """Find the template's plane that a slice shows. Raises RegistrationFailed without a fit.

    ``hu`` and ``brain`` (rows, columns), rows from anterior to posterior; ``template`` the
    template's brain, elsewhere 0, on an LPS-aligned grid.
    """
    moving = _shrunk(np.where(brain, np.clip(hu, 0.0, 80.0), 0.0))
    cuts = (_cut(template, level, pitch) for level in LEVELS_MM for pitch in PITCHES_DEG)
    starts = [fit for cut in cuts for fit in _best_start(cut, moving, float(brain.sum()))]
    kept = sorted(starts, key=lambda fit: -fit.agreement)[:KEPT_STARTS]
    fits = [fit for fit in (_descended(start, moving) for start in kept) if _is_plausible(fit)]
    if not fits:
        raise RegistrationFailed("The slice resembles no plane of the template.")
    best = _refined(max(fits, key=lambda fit: fit.agreement), moving, template)
    return PlacedSlice(_slab(hu, best), best.cut.level_mm, best.cut.pitch_deg, best.agreement)


def _cut(template: Volume, level_mm: float, pitch_deg: float) -> _Cut:
    grid = template.grid
    _, rows, columns = grid.shape
    first = grid.to_world(np.zeros(3))
    step = grid.spacing_mm[2]
    x, v = np.meshgrid(first[0] + step * np.arange(columns), first[1] + step * np.arange(rows))
    points = _on_plane(np.stack([x, v], axis=-1), level_mm, pitch_deg)
    index = np.moveaxis(grid.to_index(points), -1, 0)
    values = ndimage.map_coordinates(template.voxels, index, output=np.float32, order=1)
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((step, step))
    image.SetOrigin((float(first[0]), float(first[1])))
    return _Cut(level_mm, pitch_deg, image)


def _on_plane(xv_mm: Floats, level_mm: float, pitch_deg: float) -> Floats:
    """Plane coordinates (..., 2) to MNI world (..., 3), LPS mm."""
    x, v = xv_mm[..., 0], xv_mm[..., 1]
    pitch = np.radians(pitch_deg)
    return np.stack([x, v * np.cos(pitch), level_mm + v * np.sin(pitch)], axis=-1)


def _shrunk(pixels: Plane) -> sitk.Image:
    """Block means; the image's world is the slice's own pixel coordinates (column, row)."""
    rows, columns = (n // BLOCK for n in pixels.shape)
    blocks = pixels[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
    image = sitk.GetImageFromArray(blocks.mean(axis=(1, 3)).astype(np.float32))
    image.SetSpacing((float(BLOCK), float(BLOCK)))
    image.SetOrigin(((BLOCK - 1) / 2, (BLOCK - 1) / 2))
    return image


def _best_start(cut: _Cut, moving: sitk.Image, area_px2: float) -> Iterator[_Fit]:
    """The best of several turns, where the brain's area fits the plane's at all."""
    scale_mm = float(np.sqrt(cut.brain_mm2 / area_px2))
    if PIXEL_MM[0] <= scale_mm <= PIXEL_MM[1]:
        starts = [_start(cut, moving, scale_mm, turn) for turn in TURNS_DEG]
        yield max(starts, key=lambda fit: fit.agreement)


def _start(cut: _Cut, moving: sitk.Image, scale_mm: float, turn_deg: float) -> _Fit:
    """Centroids laid over each other, size from the areas, turned."""
    centre, target = _centroid(cut.image), _centroid(moving)
    turn = np.radians(turn_deg)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) / scale_mm
    start = sitk.AffineTransform(2)
    start.SetCenter(centre.tolist())
    start.SetTranslation((target - centre).tolist())
    start.SetMatrix(matrix.ravel().tolist())
    return _Fit(_agreement(cut.image, moving, start), cut, start)


def _centroid(image: sitk.Image) -> Floats:
    rows, columns = np.nonzero(sitk.GetArrayViewFromImage(image) > TISSUE_HU)
    middle = np.array([columns.mean(), rows.mean()])
    return np.asarray(image.GetOrigin() + middle * np.array(image.GetSpacing()))


def _agreement(fixed: sitk.Image, moving: sitk.Image, transform: sitk.Transform) -> float:
    """Half Dice of the outlines, half correlation within: outlines alone repeat along a head."""
    resampled = sitk.Resample(moving, fixed, transform, sitk.sitkLinear, 0.0)
    a, b = (sitk.GetArrayViewFromImage(image).ravel() for image in (fixed, resampled))
    inside = (a > TISSUE_HU) & (b > TISSUE_HU)
    if inside.sum() < MIN_SHARED_PIXELS:
        return -1.0
    dice = 2 * inside.sum() / ((a > TISSUE_HU).sum() + (b > TISSUE_HU).sum())
    return 0.5 * float(dice) + 0.5 * float(np.corrcoef(a[inside], b[inside])[0, 1])


def _is_plausible(fit: _Fit) -> bool:
    """Pixels of a head's size, and about square once scaled to the template."""
    matrix = np.array(sitk.AffineTransform(fit.transform).GetMatrix()).reshape(2, 2)
    sizes_mm = 1.0 / np.linalg.svd(matrix, compute_uv=False)
    inside = PIXEL_MM[0] <= sizes_mm.min() and sizes_mm.max() <= PIXEL_MM[1]
    return bool(inside and sizes_mm.max() / sizes_mm.min() <= MAX_STRETCH)


def _descended(fit: _Fit, moving: sitk.Image) -> _Fit:
    """The fit after optimising its affine transform within its plane."""
    transform = sitk.AffineTransform(fit.transform)
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsCorrelation()
    method.SetNumberOfThreads(1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=1.0, minStep=1e-2, numberOfIterations=80, gradientMagnitudeTolerance=1e-6
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(transform, inPlace=True)
    try:
        method.Execute(fit.cut.image, moving)
    except RuntimeError as error:
        raise RegistrationFailed("The slice could not be aligned with the template.") from error
    return _Fit(_agreement(fit.cut.image, moving, transform), fit.cut, transform)


def _refined(best: _Fit, moving: sitk.Image, template: Volume) -> _Fit:
    """Neighbouring heights and pitches, each started from the best transform so far."""
    level, pitch = best.cut.level_mm, best.cut.pitch_deg
    cuts = [_cut(template, level + up, pitch + more) for up, more in REFINING_STEPS]
    fits = [_descended(_Fit(-1.0, cut, best.transform), moving) for cut in cuts]
    return max([best, *filter(_is_plausible, fits)], key=lambda fit: fit.agreement)


def _slab(hu: Plane, fit: _Fit) -> SliceStack:
    """Copies of the slice, one grid step apart along the plane's normal."""
    to_plane = fit.transform.GetInverse()
    corner, along_row, along_column = (
        _on_plane(np.array(to_plane.TransformPoint(pixel)), fit.cut.level_mm, fit.cut.pitch_deg)
        for pixel in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))
    )
    row_step, column_step = along_row - corner, along_column - corner
    normal = np.cross(row_step, column_step)
    normal = normal / np.linalg.norm(normal)
    offsets = SLAB_STEP_MM * (np.arange(SLAB_PLANES) - SLAB_PLANES // 2)
    voxels = np.repeat(hu[None].astype(np.float32), SLAB_PLANES, axis=0)
    return SliceStack(voxels, corner + offsets[:, None] * normal, row_step, column_step)
