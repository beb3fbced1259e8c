"""Look at every file of a data set once: what it holds, and what is wrong with it."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from willis_models.volume import Grid
from willis_training.curation.nifti import volume_from_nifti
from willis_training.datasets.base import Subject
from willis_training.datasets.loading import UNREADABLE, WHOLE_TOLERANCE, grid_distance_mm

_SINGULAR_MM3 = 1e-6


class FaultCode(StrEnum):
    """What can be wrong with a data set; part of the command's contract."""

    UNREADABLE = "UNREADABLE"
    NOT_THREE_DIMENSIONAL = "NOT_THREE_DIMENSIONAL"
    SINGULAR_AFFINE = "SINGULAR_AFFINE"
    NOT_FINITE = "NOT_FINITE"
    IMAGE_EMPTY = "IMAGE_EMPTY"
    LABEL_EMPTY = "LABEL_EMPTY"
    LABEL_NOT_INTEGER = "LABEL_NOT_INTEGER"
    LABEL_UNEXPECTED = "LABEL_UNEXPECTED"
    SHAPE_MISMATCH = "SHAPE_MISMATCH"
    AFFINE_MISMATCH = "AFFINE_MISMATCH"
    MISSING_IMAGE = "MISSING_IMAGE"
    MISSING_LABEL = "MISSING_LABEL"
    MISSING_FACTS = "MISSING_FACTS"
    NOT_FOUR_DIMENSIONAL = "NOT_FOUR_DIMENSIONAL"
    DUPLICATE_SUBJECT = "DUPLICATE_SUBJECT"
    DUPLICATE_IMAGE = "DUPLICATE_IMAGE"


_WRONG_AXES = {3: FaultCode.NOT_THREE_DIMENSIONAL, 4: FaultCode.NOT_FOUR_DIMENSIONAL}


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Fault(_Frozen):
    """One thing wrong with one file, or with a subject where ``file`` is None."""

    subject_id: str
    code: FaultCode
    file: str | None
    message: str


class ImageFacts(_Frozen):
    """What an image file holds: stored shape (x, y, z), spacing (z, y, x), stored orientation."""

    role: str
    shape: tuple[int, ...]
    spacing_mm: tuple[float, float, float]
    orientation: str
    voxels_sha256: str


class Examined(_Frozen):
    """One subject's files, looked at. ``label_ml`` by label value, background left out."""

    subject_id: str
    person_id: str
    site: str | None
    part: str
    images: tuple[ImageFacts, ...]
    label_ml: Mapping[int, float] | None
    faults: tuple[Fault, ...]

    @property
    def lesion_ml(self) -> float | None:
        """Volume of everything labelled."""
        return None if self.label_ml is None else sum(self.label_ml.values())


class _Broken(Exception):
    def __init__(self, code: FaultCode, message: str) -> None:
        super().__init__(message)
        self.code = code


def examine_subject(subject: Subject, label_names: Mapping[int, str]) -> Examined:
    """Read the subject's files. Whatever is wrong with them becomes a fault, never an error."""
    faults: list[Fault] = []
    images: list[ImageFacts] = []
    grids: list[tuple[Path, Grid]] = []

    def note(code: FaultCode, message: str, file: Path | None = None) -> None:
        name = None if file is None else str(file)
        faults.append(Fault(subject_id=subject.subject_id, code=code, file=name, message=message))

    for role, path in subject.images.items():
        try:
            facts, grid = _image(role, path, role in subject.dynamic)
        except _Broken as error:
            note(error.code, str(error), path)
            continue
        images.append(facts)
        grids.append((path, grid))
    for what in subject.absent:
        note(*_absent(what))
    if not subject.images:
        note(FaultCode.MISSING_IMAGE, "No image lies beside the label map.", subject.label)
    label_ml = None
    if subject.label is not None:
        label_ml, problems = _label(subject.label, label_names, grids)
        for code, message in problems:
            note(code, message, subject.label)
    elif not subject.label_is_hidden:
        first = next(iter(subject.images.values()), None)
        note(FaultCode.MISSING_LABEL, "No label map lies beside the image.", first)
    return Examined(
        subject_id=subject.subject_id,
        person_id=subject.person_id,
        site=subject.site,
        part=str(subject.facts.get("part", "")),
        images=tuple(images),
        label_ml=label_ml,
        faults=tuple(faults),
    )


def _absent(what: str) -> tuple[FaultCode, str]:
    if what == "facts":
        return FaultCode.MISSING_FACTS, "Its tables are missing or say nothing that is read."
    return FaultCode.MISSING_IMAGE, f"It has no {what} image."


def _image(role: str, path: Path, is_dynamic: bool = False) -> tuple[ImageFacts, Grid]:
    """A series is read frame by frame: whole, it would fill the memory of a small machine."""
    image = _opened(path, axes=4 if is_dynamic else 3)
    digest, low, high = hashlib.sha256(), np.inf, -np.inf
    with _reading(path):
        for frame in _frames(image):
            if not np.isfinite(frame).all():
                message = "The image holds values that are no finite numbers."
                raise _Broken(FaultCode.NOT_FINITE, message)
            low, high = min(low, float(frame.min())), max(high, float(frame.max()))
            digest.update(np.ascontiguousarray(frame).data)
        grid = _grid_of(image)
    if low == high:
        raise _Broken(FaultCode.IMAGE_EMPTY, f"Every voxel of the image is {low:g}.")
    facts = ImageFacts(
        role=role,
        shape=tuple(int(n) for n in image.shape),
        spacing_mm=grid.spacing_mm,
        orientation="".join(nib.orientations.aff2axcodes(image.affine)),
        voxels_sha256=digest.hexdigest(),
    )
    return facts, grid


def _frames(image: Any) -> Iterator[NDArray[Any]]:
    if len(image.shape) == 3:
        yield np.asanyarray(image.dataobj)
        return
    for n in range(image.shape[3]):
        yield np.asanyarray(image.dataobj[..., n])


def _grid_of(image: Any) -> Grid:
    """The lattice of an image, or of the first frame of a series."""
    return volume_from_nifti(image.slicer[..., 0] if len(image.shape) == 4 else image).grid


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except UNREADABLE as error:
        kind = type(error).__name__
        raise _Broken(FaultCode.UNREADABLE, f"The file can't be read ({kind}).") from error


def _opened(path: Path, axes: int) -> Any:
    """A file with so many axes and with an affine that can be inverted."""
    with _reading(path):
        # Kept open, a compressed series is read once from front to back, not anew for each frame.
        image: Any = nib.load(path, keep_file_open=axes == 4)
        shape, affine = image.shape, np.asarray(image.affine, dtype=np.float64)
        if len(shape) != axes:
            code = _WRONG_AXES[axes]
            raise _Broken(code, f"The image has {len(shape)} axes, not {axes}.")
        if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < _SINGULAR_MM3:
            raise _Broken(FaultCode.SINGULAR_AFFINE, "The image's affine can't be inverted.")
    return image


def _read(path: Path) -> tuple[Any, NDArray[Any]]:
    """A file and its voxels, three-dimensional and with an affine that can be inverted."""
    image = _opened(path, axes=3)
    with _reading(path):
        return image, np.asanyarray(image.dataobj)


def _label(
    path: Path, names: Mapping[int, str], grids: Sequence[tuple[Path, Grid]]
) -> tuple[Mapping[int, float] | None, list[tuple[FaultCode, str]]]:
    """Volumes of the labels, and what is wrong with them."""
    try:
        image, voxels = _read(path)
        labels = _whole(voxels)
    except _Broken as error:
        return None, [(error.code, str(error))]
    grid = volume_from_nifti(image).grid
    values, counts = np.unique(labels, return_counts=True)
    volumes = {
        int(v): float(n * grid.voxel_ml) for v, n in zip(values, counts, strict=True) if v != 0
    }
    problems = [_mismatch(image_path, other, grid) for image_path, other in grids]
    unknown = sorted(set(volumes) - set(names))
    if unknown:
        known = ", ".join(str(n) for n in sorted(names))
        problems.append(
            (FaultCode.LABEL_UNEXPECTED, f"The values {unknown} are not among {known}.")
        )
    if not volumes:
        problems.append((FaultCode.LABEL_EMPTY, "The label map holds no label."))
    return volumes, [problem for problem in problems if problem is not None]


def _whole(voxels: NDArray[Any]) -> NDArray[np.int64]:
    if not np.isfinite(voxels).all():
        raise _Broken(FaultCode.NOT_FINITE, "The label map holds values that are no numbers.")
    whole = np.rint(voxels)
    if (np.abs(voxels - whole) > WHOLE_TOLERANCE).any():
        worst = float(voxels.flat[np.abs(voxels - whole).argmax()])
        message = f"The label map holds fractions such as {worst:.3g}: was it interpolated?"
        raise _Broken(FaultCode.LABEL_NOT_INTEGER, message)
    return np.asarray(whole, dtype=np.int64)


def _mismatch(image: Path, grid: Grid, label_grid: Grid) -> tuple[FaultCode, str] | None:
    if grid.shape != label_grid.shape:
        message = f"Shape (z, y, x) {label_grid.shape}, but {image.name} has {grid.shape}."
        return FaultCode.SHAPE_MISMATCH, message
    distance = grid_distance_mm(grid, label_grid)
    if distance:
        return FaultCode.AFFINE_MISMATCH, f"It lies up to {distance:.2f} mm from {image.name}."
    return None


def duplicates(subjects: Sequence[Subject], examined: Iterable[Examined]) -> list[Fault]:
    """Ids that occur twice, and images that two persons share voxel by voxel: leaks in a split."""
    faults = []
    seen: dict[str, int] = defaultdict(int)
    for subject in subjects:
        seen[subject.subject_id] += 1
    for subject_id, count in sorted(seen.items()):
        if count > 1:
            message = f"{count} examinations have this id."
            faults.append(_of_subject(subject_id, FaultCode.DUPLICATE_SUBJECT, message))
    owners: dict[str, list[Examined]] = defaultdict(list)
    for item in examined:
        for image in item.images:
            owners[image.voxels_sha256].append(item)
    for sharing in owners.values():
        first, *others = sharing
        for other in others:
            if other.person_id != first.person_id:
                message = f"Its image is that of {first.subject_id}, voxel by voxel."
                faults.append(_of_subject(other.subject_id, FaultCode.DUPLICATE_IMAGE, message))
    return faults


def _of_subject(subject_id: str, code: FaultCode, message: str) -> Fault:
    return Fault(subject_id=subject_id, code=code, file=None, message=message)
