"""How every file of a case lies against its NCCT: grid, spacing, overlap, mutual information."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from willis_models.errors import InputError
from willis_models.imaging.resample import bounding_grid, resample_stack, sample_labels
from willis_models.volume import Grid, SliceStack, Volume
from willis_training.curation.nifti import volume_from_nifti
from willis_training.datasets.base import Subject
from willis_training.datasets.isles24.images import (
    OUTSIDE,
    corners_apart_mm,
    header_grid,
    is_same_grid,
    load_still,
    readable,
)
from willis_training.datasets.isles24.layout import EXPECTED, REFERENCE

Outcome = Literal["reference", "same grid", "resampled", "faulty", "missing"]
LESION = "lesion"
COARSE_MM = 4.0
HEAD_ABOVE_HU = -200.0
SHIFT_VOXELS = 2
MIN_INSIDE = 0.95
"""A file with less of its content inside the NCCT's head probably has a wrong affine."""
MAX_GAIN = 0.02
"""So much more mutual information after a shift of 8 mm means that the file lies wrong."""
_CT_RANGE_HU = (-100.0, 200.0)
_BINS = 32
_PLACES = 100_000
_AXES = ("superior-inferior", "posterior-anterior", "left-right")


@dataclass(frozen=True)
class FileReport:
    """One file against the NCCT. Shape and spacing are (z, y, x) with axes along S, P, L.

    ``apart_mm``: how far the corners of the grids lie apart. ``inside``: share of its content
    (maps: not 0; CT: above -200 HU) in the NCCT's head. ``information``: normalised mutual
    information with the NCCT on a 4-mm grid, 2 I / (H + H), 0 to 1. ``gain``: how much that rises
    when the file is moved by 8 mm ``towards`` its best neighbour; not above 0 for a file in place.
    None where it can't be measured.
    """

    subject_id: str
    role: str
    file: str | None
    outcome: Outcome
    shape: tuple[int, ...] | None = None
    spacing_mm: tuple[float, float, float] | None = None
    apart_mm: float | None = None
    inside: float | None = None
    information: float | None = None
    gain: float | None = None
    towards: str | None = None
    not_finite: int = 0
    note: str = ""

    @property
    def is_suspect(self) -> bool:
        """Whether somebody should look at the file."""
        misplaced = self.inside is not None and self.inside < MIN_INSIDE
        moved = self.gain is not None and self.gain > MAX_GAIN
        return self.outcome in ("faulty", "missing") or misplaced or moved


@dataclass(frozen=True)
class _Head:
    """The NCCT on a coarse grid (z, y, x), its head filled, and its own grid."""

    own: Grid
    coarse: Grid
    hu: NDArray[np.float32]
    head: NDArray[np.bool_]


def registration_of(subject: Subject) -> tuple[FileReport, ...]:
    """Every file of a case. A missing or faulty file is an outcome, never an error."""
    missing = [
        FileReport(subject.subject_id, role, None, "missing")
        for role in EXPECTED
        if role not in subject.images
    ]
    head, reference = _reference(subject)
    found = [reference] if reference is not None else []
    others = {r: p for r, p in subject.images.items() if r != REFERENCE}
    if subject.label is not None:
        others[LESION] = subject.label
    found += [_report(subject, role, path, head) for role, path in others.items()]
    return (*found, *missing)


def _reference(subject: Subject) -> tuple[_Head | None, FileReport | None]:
    path = subject.images.get(REFERENCE)
    if path is None:
        return None, None
    try:
        loaded = load_still(path, REFERENCE)
    except InputError as error:
        return None, _faulty(subject, REFERENCE, path, error)
    coarse = bounding_grid(SliceStack.from_volume(loaded.volume), COARSE_MM)
    hu = _on(coarse, loaded.volume, OUTSIDE[REFERENCE])
    head = _Head(loaded.volume.grid, coarse, hu, _filled(hu > HEAD_ABOVE_HU))
    report = FileReport(
        subject.subject_id,
        REFERENCE,
        path.name,
        "reference",
        loaded.volume.voxels.shape,
        loaded.volume.grid.spacing_mm,
        not_finite=loaded.not_finite,
    )
    return head, report


def _report(subject: Subject, role: str, path: Path, head: _Head | None) -> FileReport:
    try:
        grid = header_grid(path)
        shape = _stored_shape(path, grid)
        volume, not_finite = _still_of(path, role, role in subject.dynamic)
    except InputError as error:
        return _faulty(subject, role, path, error)
    if head is None:
        return FileReport(
            subject.subject_id, role, path.name, "faulty", shape, grid.spacing_mm, note="no NCCT"
        )
    same = is_same_grid(head.own, grid)
    outside = OUTSIDE.get(role, 0.0)
    content = volume.voxels > HEAD_ABOVE_HU if outside else volume.voxels != 0
    information, gain, towards = (None, None, None)
    if role != LESION:
        values = _on(head.coarse, volume, outside)
        information, gain, towards = _information(head.hu, values, is_ct=bool(outside))
    return FileReport(
        subject_id=subject.subject_id,
        role=role,
        file=path.name,
        outcome="same grid" if same else "resampled",
        shape=shape,
        spacing_mm=grid.spacing_mm,
        apart_mm=round(corners_apart_mm(head.own, grid), 3),
        inside=_share_inside(head, volume.grid, content),
        information=information,
        gain=gain,
        towards=towards,
        not_finite=not_finite,
    )


def _faulty(subject: Subject, role: str, path: Path, error: InputError) -> FileReport:
    return FileReport(subject.subject_id, role, path.name, "faulty", note=error.message)


def _stored_shape(path: Path, grid: Grid) -> tuple[int, ...]:
    stored: Any = nib.load(path)
    return (*stored.shape[3:], *grid.shape)


def _still_of(path: Path, role: str, is_dynamic: bool) -> tuple[Volume, int]:
    """The image; of a series its first frame, which shows the head before the contrast agent."""
    if not is_dynamic:
        loaded = load_still(path, role)
        return loaded.volume, loaded.not_finite
    with readable(path):
        image: Any = nib.load(path)
        first = volume_from_nifti(image.slicer[..., 0]) if len(image.shape) == 4 else None
    if first is None:
        raise InputError(f"{path.name} has {len(image.shape)} axes; a series needs 4.")
    return first, 0


def _on(coarse: Grid, volume: Volume, outside: float) -> NDArray[np.float32]:
    found: NDArray[np.float32] = resample_stack(
        SliceStack.from_volume(volume), coarse, outside
    ).voxels
    return found


def _filled(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Air inside the head belongs to it; filled slice by slice, since the neck is open."""
    return np.stack([ndimage.binary_fill_holes(one) for one in mask])


def _share_inside(head: _Head, grid: Grid, content: NDArray[np.bool_]) -> float | None:
    """Share of the content's voxels that lie in the head, by their places in the world."""
    where = np.flatnonzero(content)
    if not where.size:
        return None
    some = where[:: max(where.size // _PLACES, 1)]
    places = grid.to_world(np.stack(np.unravel_index(some, content.shape), axis=-1))
    # One coarse voxel of margin: what lies on the skin is not outside.
    wide = ndimage.binary_dilation(head.head).astype(np.uint8)
    return round(float(sample_labels(wide, head.coarse, places).mean()), 4)


def _information(
    hu: NDArray[np.float32], values: NDArray[np.float32], is_ct: bool
) -> tuple[float, float, str]:
    """Mutual information in place, its largest rise by a shift, and the direction of that shift."""
    one = _binned(np.clip(hu, *_CT_RANGE_HU))
    other = _binned(np.clip(values, *(_CT_RANGE_HU if is_ct else _middle(values))))
    in_place = normalised_information(one, other)
    moved = {}
    for axis, name in enumerate(_AXES):
        for sign, end in zip((1, -1), name.split("-"), strict=True):
            near, far = _shifted(one, other, axis, sign * SHIFT_VOXELS)
            moved[end] = normalised_information(near, far)
    towards = max(moved, key=lambda end: moved[end])
    return round(in_place, 4), round(moved[towards] - in_place, 4), towards


def _shifted(
    one: NDArray[np.int64], other: NDArray[np.int64], axis: int, steps: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What overlaps when ``other`` is moved by so many voxels along an axis."""
    length = one.shape[axis] - abs(steps)
    start = max(steps, 0)
    near = np.take(one, range(start, start + length), axis)
    return near, np.take(other, range(start - steps, start - steps + length), axis)


def _middle(values: NDArray[np.float32]) -> tuple[float, float]:
    """0 to the 98th percentile of what a map holds: a few vessels must not fill all bins."""
    content = values[values > 0]
    return 0.0, float(np.percentile(content, 98)) if content.size else 1.0


def _binned(values: NDArray[np.float32]) -> NDArray[np.int64]:
    low, high = float(values.min()), float(values.max())
    scaled = (values - low) / max(high - low, 1e-6) * _BINS
    return np.asarray(np.minimum(scaled, _BINS - 1), dtype=np.int64)


def normalised_information(one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    """2 I / (H + H) of two binned images (0 to 31); 0 where one is constant."""
    pairs = np.bincount((one * _BINS + other).ravel(), minlength=_BINS * _BINS)
    joint = pairs.reshape(_BINS, _BINS) / pairs.sum()
    rows, columns = _entropy(joint.sum(axis=1)), _entropy(joint.sum(axis=0))
    if rows + columns == 0:
        return 0.0
    return 2.0 * (rows + columns - _entropy(joint)) / (rows + columns)


def _entropy(shares: NDArray[np.float64]) -> float:
    some = shares[shares > 0]
    return float(-(some * np.log(some)).sum())
