"""Rigid head motion between frames, measured on bone and corrected in plane and through it.

Each frame is aligned with the one that resembles all others most, by Gauss-Newton steps on the
image difference (inverse compositional, Baker and Matthews 2004, doi:10.1023/B:VISI.0000011205.
11775.fd). Images are cut to the window of bone first: contrast agent then changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import SimpleITK as sitk
from scipy import ndimage
from scipy.spatial.transform import Rotation

from willis_models.perfusion.binning import BinnedSeries
from willis_models.perfusion.parameters import MotionParameters
from willis_models.volume import Array, Floats

_CONVERGED_MM = 0.01
_LEAST_SLOPE = 1e-4
_OUTSIDE = -1.0


@dataclass(frozen=True)
class MotionTrace:
    """How the head lay in each frame, against the reference frame; arrays (t,).

    ``translation_mm`` is the shift of the head's centre, ``rotation_deg`` the turn about it,
    ``displacement_mm`` both together: root mean square over a sphere of the head's size
    (Jenkinson 1999). ``max_mm`` is the largest of the latter; ``corrected`` says which frames were
    resampled, the others having moved too little; ``jumps`` (t - 1,) whether it lay elsewhere than
    in the frame before.
    """

    translation_mm: Floats
    rotation_deg: Floats
    displacement_mm: Floats
    corrected: Array
    reference: int
    jumps: Array

    @property
    def max_mm(self) -> float:
        """Largest displacement of any frame."""
        return float(self.displacement_mm.max())


def correct_motion(series: BinnedSeries, parameters: MotionParameters) -> MotionTrace:
    """Align all frames, writing into ``series.frames``, and say how far each had moved."""
    coarse = CoarseBone.of(series, parameters)
    reference = coarse.reference()
    model = Alignment(coarse.images[reference], coarse.affine_lps, parameters)
    poses = [model.pose_of(image) for image in coarse.images]
    displacement = np.array([pose.displacement_mm(parameters.head_radius_mm) for pose in poses])
    moved = displacement > parameters.still_mm
    steps = [a.to(b).displacement_mm(parameters.head_radius_mm) for a, b in pairwise(poses)]
    for t in np.flatnonzero(moved):
        matrix = poses[t].matrix(model.centre_lps)
        series.frames[t] = _resample(series.frames[t], matrix, series.affine_lps, border=None)
    return MotionTrace(
        np.array([float(np.linalg.norm(pose.shift_mm)) for pose in poses]),
        np.array([float(np.degrees(pose.turn.magnitude())) for pose in poses]),
        displacement,
        moved,
        reference,
        np.array(steps) > parameters.still_mm,
    )


@dataclass(frozen=True)
class CoarseBone:
    """Bone of all frames on a coarse grid, 0 to 1."""

    images: Array
    affine_lps: Floats

    @staticmethod
    def of(series: BinnedSeries, parameters: MotionParameters) -> CoarseBone:
        """The window of bone, averaged in plane."""
        factor = max(1, round(parameters.grid_mm / series.pixel_mm[0]))
        t, z, y, x = series.frames.shape
        rows, columns = y // factor, x // factor
        images = np.empty((t, z, rows, columns), np.float32)
        for frame, image in zip(series.frames, images, strict=True):
            cut = np.clip(frame, parameters.low_hu, parameters.high_hu) - parameters.low_hu
            cut = cut[:, : rows * factor, : columns * factor]
            blocks = cut.reshape(z, rows, factor, columns, factor)
            image[:] = blocks.mean(axis=(2, 4)) / (parameters.high_hu - parameters.low_hu)
        affine = series.affine_lps.copy()
        affine[:3, 3] += affine[:3, 1:3].sum(axis=1) * (factor - 1) / 2
        affine[:3, 1:3] *= factor
        return CoarseBone(images, affine)

    def reference(self) -> int:
        """The frame nearest to all others: most of them then stay as they are."""
        flat = self.images.reshape(len(self.images), -1)
        products = flat @ flat.T
        size = np.diag(products)
        squares = np.maximum(size[:, None] + size[None, :] - 2 * products, 0.0)
        return int(np.argmin(np.sqrt(squares).sum(axis=1)))


@dataclass(frozen=True)
class _Pose:
    """Rigid displacement of the head about a centre: turn first, then shift (LPS mm)."""

    turn: Rotation
    shift_mm: Floats

    def matrix(self, centre_lps: Floats) -> Floats:
        """(4, 4): where a point of the reference frame lies in the moved one."""
        rigid = np.eye(4)
        rigid[:3, :3] = self.turn.as_matrix()
        rigid[:3, 3] = centre_lps + self.shift_mm - rigid[:3, :3] @ centre_lps
        return rigid

    def displacement_mm(self, radius_mm: float) -> float:
        """Root mean square over a ball about the centre."""
        change = self.turn.as_matrix() - np.eye(3)
        spread = radius_mm**2 / 5.0 * float(np.trace(change.T @ change))
        return float(np.sqrt(spread + self.shift_mm @ self.shift_mm))

    def to(self, other: _Pose) -> _Pose:
        """What takes this pose to another one."""
        turn = other.turn * self.turn.inv()
        return _Pose(turn, other.shift_mm - turn.apply(self.shift_mm))

    def after(self, turn: Rotation, shift_mm: Floats) -> _Pose:
        """This pose applied after a small one: compose(self, small)."""
        return _Pose(self.turn * turn, self.turn.apply(shift_mm) + self.shift_mm)


class Alignment:
    """Aligns frames with one reference, coarse level first."""

    def __init__(self, reference: Array, affine_lps: Floats, parameters: MotionParameters) -> None:
        self._parameters = parameters
        self._affine = affine_lps
        self._spacing = np.linalg.norm(affine_lps[:3, :3], axis=0)
        self._levels = (parameters.coarse_mm, 0.0)
        bone = np.argwhere(reference > 0.25)
        centre = bone.mean(axis=0) if len(bone) else (np.array(reference.shape) - 1) / 2
        self.centre_lps: Floats = affine_lps[:3, :3] @ centre + affine_lps[:3, 3]
        self._blurred = [self._blur(reference, level) for level in self._levels]
        slopes = [self._slope(image) for image in self._blurred]
        # Where the reference is flat, nothing tells of motion: most of the head, and all air.
        self._used = [np.flatnonzero(np.abs(each).max(axis=1) > _LEAST_SLOPE) for each in slopes]
        self._slopes = [each[used] for each, used in zip(slopes, self._used, strict=True)]

    def pose_of(self, image: Array) -> _Pose:
        """How the head lies in a frame against the reference."""
        pose = _Pose(Rotation.identity(), np.zeros(3))
        blurred = self._blur(image, 0.0)
        turn, shift = self._small_step(blurred, -1)
        first = _Pose(turn, shift)
        if first.displacement_mm(self._parameters.head_radius_mm) < self._parameters.still_mm / 2:
            return first
        for level, width in enumerate(self._levels):
            pose = self._refine(self._blur(image, width), pose, level)
        return pose

    def _refine(self, image: Array, pose: _Pose, level: int) -> _Pose:
        for _ in range(self._parameters.iterations):
            turn, shift = self._step(image, pose, level)
            pose = pose.after(turn, shift)
            if _Pose(turn, shift).displacement_mm(80.0) < _CONVERGED_MM:
                break
        return pose

    def _step(self, image: Array, pose: _Pose, level: int) -> tuple[Rotation, Floats]:
        """One Gauss-Newton step: the small displacement that best explains what is left."""
        matrix = pose.matrix(self.centre_lps)
        return self._small_step(_resample(image, matrix, self._affine, border=_OUTSIDE), level)

    def _small_step(self, seen: Array, level: int) -> tuple[Rotation, Floats]:
        """The same for a frame that is resampled already, ``_OUTSIDE`` beyond its edge."""
        used = self._used[level]
        values = seen.ravel()[used]
        inside = values > _OUTSIDE
        slopes = self._slopes[level][inside]
        left = (values - self._blurred[level].ravel()[used])[inside]
        normal = slopes.T @ slopes + 1e-6 * np.eye(6)
        found = np.linalg.solve(normal.astype(np.float64), (slopes.T @ left).astype(np.float64))
        return Rotation.from_rotvec(found[3:]), found[:3]

    def _blur(self, image: Array, width_mm: float) -> Array:
        if width_mm == 0.0:
            return image
        return np.asarray(ndimage.gaussian_filter(image, width_mm / self._spacing, mode="nearest"))

    def _slope(self, image: Array) -> Array:
        """(voxels, 6): change of each voxel with shift and turn of the head in LPS."""
        by_index = np.stack([_gradient(image, axis) for axis in range(3)], axis=-1)
        by_world = by_index.reshape(-1, 3) @ np.linalg.inv(self._affine[:3, :3])
        index = np.indices(image.shape).reshape(3, -1).T
        arm = index @ self._affine[:3, :3].T + self._affine[:3, 3] - self.centre_lps
        turning = np.cross(arm, by_world)
        return np.asarray(-np.concatenate([by_world, turning], axis=1), dtype=np.float32)


def _gradient(image: Array, axis: int) -> Array:
    if image.shape[axis] < 2:
        return np.zeros_like(image)
    return np.asarray(np.gradient(image, axis=axis))


def _resample(image: Array, matrix: Floats, affine_lps: Floats, border: float | None) -> Array:
    """The frame as the reference would see it; beyond its edge the border value, or the nearest.

    Works on array indices, so that a tilted lattice needs nothing special.
    """
    by_index = np.linalg.inv(affine_lps) @ matrix @ affine_lps
    flipped = by_index[[2, 1, 0, 3]][:, [2, 1, 0, 3]]
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(flipped[:3, :3].ravel().tolist())
    transform.SetTranslation(flipped[:3, 3].tolist())
    resampler = sitk.ResampleImageFilter()
    source = sitk.GetImageFromArray(np.ascontiguousarray(image))
    resampler.SetReferenceImage(source)
    resampler.SetTransform(transform)
    resampler.SetInterpolator(sitk.sitkLinear)
    resampler.SetDefaultPixelValue(0.0 if border is None else border)
    resampler.SetUseNearestNeighborExtrapolator(border is None)
    return np.asarray(sitk.GetArrayFromImage(resampler.Execute(source)))
