"""The images of a case on the NCCT's grid. Files are only read: what differs is resampled here."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from willis_models.errors import GeometryError, InputError
from willis_models.imaging.resample import grid_points, resample_stack, sample_labels
from willis_models.pipelines.base import Acquisition, InputImage
from willis_models.volume import DynamicStack, Grid, SliceStack, Volume
from willis_training.curation.nifti import volume_from_nifti
from willis_training.datasets.base import Subject
from willis_training.datasets.isles24.layout import REFERENCE
from willis_training.datasets.loading import UNREADABLE, load_labels

SAME_GRID_MM = 0.05
"""Grids whose corners lie nearer are one grid. The release stores one transform in two ways (sform
and qform), which differ by rounding of up to 2e-5 in the axes: about 0.01 mm over a head."""
UNITS = {"cbf": "mL/(100.g)/min", "cbv": "mL/(100.g)", "mtt": "s", "tmax": "s"}
OUTSIDE = {REFERENCE: -1024.0, "cta": -1024.0, "ctp": -1024.0}
"""What a voxel holds that an image does not reach; 0 for maps and masks, as in the release."""
_TO_SECONDS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6, "unknown": 1.0}


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Makes an InputError of whatever a missing, truncated or damaged file raises."""
    try:
        yield
    except UNREADABLE as error:
        raise InputError(f"{path.name} can't be read ({type(error).__name__}).") from error


@dataclass(frozen=True)
class LoadedImage:
    """One image on its own grid; ``not_finite`` voxels were set to the value outside."""

    volume: Volume
    not_finite: int = 0


def load_still(path: Path, role: str) -> LoadedImage:
    """An image with three axes (more if they hold one entry each), finite and along LPS.

    Raises InputError for a series where one image is expected, and for a damaged file.
    """
    with readable(path):
        image: Any = nib.load(path)
        axes = len(image.shape)
        if axes != 3 and all(n == 1 for n in image.shape[3:]):
            voxels = np.asanyarray(image.dataobj).reshape(image.shape[:3])
            image, axes = nib.Nifti1Image(voxels, image.affine), 3
        volume = volume_from_nifti(image) if axes == 3 else None
    if volume is None:
        raise InputError(f"{path.name} has {axes} axes; the {role} image needs 3.")
    bad = ~np.isfinite(volume.voxels)
    if not bad.any():
        return LoadedImage(volume)
    filled = np.where(bad, OUTSIDE.get(role, 0.0), volume.voxels).astype(np.float32)
    return LoadedImage(volume.with_voxels(filled), int(bad.sum()))


def load_dynamic(path: Path) -> DynamicStack:
    """A CT perfusion series; the time between frames from the header, in its unit.

    Raises InputError where the file has no fourth axis, tells no time between frames, or is
    damaged.
    """
    with readable(path):
        image: Any = nib.load(path, keep_file_open=True)
    if len(image.shape) != 4 or image.shape[3] < 2:
        raise InputError(f"{path.name} has {len(image.shape)} axes; a series needs 4.")
    step_s = float(image.header["pixdim"][4]) * _TO_SECONDS.get(
        image.header.get_xyzt_units()[1], 0.0
    )
    if not step_s > 0:
        raise InputError(f"{path.name} does not say how far its frames lie apart in time.")
    with readable(path):
        first = _frame(image, 0)
        frames = np.empty((image.shape[3], *first.shape), first.voxels.dtype)
        for n in range(len(frames)):
            frames[n] = _frame(image, n).voxels
    times_s = np.repeat(step_s * np.arange(len(frames))[:, None], frames.shape[1], axis=1)
    return DynamicStack.like(first, frames, times_s)


def _frame(image: Any, n: int) -> SliceStack:
    return SliceStack.from_volume(volume_from_nifti(image.slicer[..., n]))


def corners_apart_mm(one: Grid, other: Grid) -> float:
    """How far the first and last voxels of two grids lie apart at most, each with its own size."""
    ends = [_corners(grid) for grid in (one, other)]
    return float(np.linalg.norm(ends[0] - ends[1], axis=-1).max())


def _corners(grid: Grid) -> NDArray[np.float64]:
    z, y, x = (n - 1 for n in grid.shape)
    return grid.to_world(np.array([(k, j, i) for k in (0, z) for j in (0, y) for i in (0, x)]))


def is_same_grid(one: Grid, other: Grid) -> bool:
    """Whether voxels of both lie at the same places."""
    return one.shape == other.shape and corners_apart_mm(one, other) <= SAME_GRID_MM


def onto(grid: Grid, volume: Volume, role: str) -> Volume:
    """An image on another grid, through world coordinates; as it is where the grid is the same."""
    if is_same_grid(grid, volume.grid):
        return Volume(volume.voxels, grid.affine_lps)
    return resample_stack(SliceStack.from_volume(volume), grid, OUTSIDE.get(role, 0.0))


def lesion_on(grid: Grid, path: Path) -> NDArray[np.uint8]:
    """The lesion mask of a file on a grid. Raises InputError as ``labels_onto``, or if damaged."""
    with readable(path):
        labels = load_labels(path)
    return labels_onto(grid, labels)


def labels_onto(grid: Grid, labels: Volume) -> NDArray[np.uint8]:
    """A lesion mask (z, y, x) on another grid, nearest voxel. Raises InputError if not 0 and 1."""
    if not np.isin(labels.voxels, (0, 1)).all():
        raise InputError("The lesion mask holds other values than 0 and 1.")
    if is_same_grid(grid, labels.grid):
        return labels.voxels.astype(np.uint8)
    return sample_labels(labels.voxels, labels.grid, grid_points(grid))


def reference_grid(subject: Subject) -> Grid:
    """The NCCT's lattice, from its header. Raises InputError where there is no NCCT."""
    if REFERENCE not in subject.images:
        raise InputError(f"{subject.subject_id} has no {REFERENCE} image.")
    return header_grid(subject.images[REFERENCE])


def header_grid(path: Path) -> Grid:
    """The lattice of a file (its first three axes), along LPS, without reading voxels."""
    with readable(path):
        image: Any = nib.load(path)
    shape = tuple(int(n) for n in (*image.shape, 1, 1, 1)[:3])
    # A view of one byte stands in for the voxels: only the shape is turned.
    hollow = np.broadcast_to(np.zeros((), np.uint8), shape)
    return _hollow_grid(hollow, np.asarray(image.affine, dtype=np.float64))


def _hollow_grid(hollow: NDArray[np.uint8], affine_ras: NDArray[np.float64]) -> Grid:
    if not np.isfinite(affine_ras).all() or abs(np.linalg.det(affine_ras[:3, :3])) < 1e-6:
        raise GeometryError("The image's affine can't be inverted.")
    return volume_from_nifti(nib.Nifti1Image(hollow, affine_ras)).grid


def load_case(
    subject: Subject, roles: Collection[str] | None = None
) -> tuple[dict[str, InputImage], NDArray[np.uint8]]:
    """What a pipeline reads of a case, all on the NCCT's grid, and the infarct (z, y, x) there.

    ``roles``: which images; all but the series by default, since the maps were made of it.
    Raises InputError for a missing or faulty file.
    """
    if subject.label is None:
        raise InputError(f"{subject.subject_id} has no lesion mask.")
    grid = reference_grid(subject)
    wanted = [role for role in subject.images if role not in subject.dynamic]
    case = {
        role: _input_image(subject.images[role], role, grid, role in subject.dynamic)
        for role in (wanted if roles is None else roles)
        if role in subject.images
    }
    labels = lesion_on(grid, subject.label)
    flipped = SliceStack.from_volume(Volume(labels, grid.affine_lps))
    return case, np.ascontiguousarray(flipped.voxels)


def _input_image(path: Path, role: str, grid: Grid, is_dynamic: bool) -> InputImage:
    if is_dynamic:
        dynamic = _dynamic_onto(grid, load_dynamic(path))
        return InputImage(dynamic.mean, Acquisition(modality="CT"), dynamic)
    volume = onto(grid, load_still(path, role).volume, role)
    stack = SliceStack.from_volume(volume.with_voxels(volume.voxels.astype(np.float32)))
    return InputImage(stack, Acquisition(modality="CT"), unit=UNITS.get(role))


def _dynamic_onto(grid: Grid, dynamic: DynamicStack) -> DynamicStack:
    """A series on another grid, frame by frame; as it is on the same one."""
    target = SliceStack.from_volume(Volume(np.empty(grid.shape, np.float32), grid.affine_lps))
    own = dynamic.mean
    same = own.shape == target.shape and np.allclose(
        own.origins_lps, target.origins_lps, atol=SAME_GRID_MM
    )
    if same:
        return dynamic
    slices = np.stack(
        [
            SliceStack.from_volume(
                resample_stack(dynamic.still(frame), grid, OUTSIDE["ctp"])
            ).voxels
            for frame in dynamic.frames
        ]
    )
    times_s = np.repeat(dynamic.times_s[:, :1], slices.shape[1], axis=1)
    return DynamicStack.like(target, slices, times_s)
