"""Images and label maps of a subject as volumes, turned to one orientation and on one grid."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from willis_models.errors import GeometryError, InputError
from willis_models.volume import Grid, Volume
from willis_training.curation.nifti import read_nifti
from willis_training.datasets.base import Subject

UNREADABLE = (
    ImageFileError,
    HeaderDataError,
    OSError,
    EOFError,
    ValueError,
    struct.error,
    zlib.error,
)
"""Whatever reading a missing, truncated or damaged NIfTI file raises."""
AFFINE_TOLERANCE_MM = 1e-2
"""How far the corners of two grids may lie apart and still be one grid (rounded headers)."""
WHOLE_TOLERANCE = 1e-3
"""How far a label value may be from a whole number (ATLAS stores 0.99999998)."""


def load_image(subject: Subject, role: str) -> Volume:
    """The image of a role, axes along LPS. Raises InputError where the subject has none."""
    if role not in subject.images:
        raise InputError(f"{subject.subject_id} has no {role} image.")
    return read_nifti(subject.images[role])


def load_labels(path: Path) -> Volume:
    """A label map as whole numbers (int16), axes along LPS. Raises InputError for fractions."""
    volume = read_nifti(path)
    whole = np.rint(volume.voxels)
    if not (np.abs(volume.voxels - whole) <= WHOLE_TOLERANCE).all():
        raise InputError(f"{path.name} holds values that are no whole numbers.")
    return volume.with_voxels(whole.astype(np.int16))


def load_pair(subject: Subject, role: str) -> tuple[Volume, Volume]:
    """Image and label map of a subject. Raises GeometryError where they lie on different grids."""
    if subject.label is None:
        raise InputError(f"{subject.subject_id} has no label map.")
    image, labels = load_image(subject, role), load_labels(subject.label)
    if distance := grid_distance_mm(image.grid, labels.grid):
        raise GeometryError(
            f"{subject.subject_id}: image and labels lie up to {distance:.2f} mm apart. Resample "
            "the label map to the image; an affine is never overwritten to make them match."
        )
    return image, labels


def grid_distance_mm(one: Grid, other: Grid) -> float:
    """How far the corners of two grids lie apart; 0 within tolerance, infinite for other shapes."""
    if one.shape != other.shape:
        return float("inf")
    ends = np.stack(np.meshgrid(*([0, n - 1] for n in one.shape), indexing="ij"), axis=-1)
    apart = np.linalg.norm(one.to_world(ends) - other.to_world(ends), axis=-1).max()
    return float(apart) if apart > AFFINE_TOLERANCE_MM else 0.0
