"""Results as destinations take them: as they are, or with segmentations as label maps."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.uid import SegmentationStorage

from willis_models.errors import ResultError
from willis_service.adapters.dicom.labelmap import (
    LABELMAP_CLASS,
    as_labelmap,
    class_there,
    has_overlap,
    labelmap_uid,
    renamed,
    verify_labelmap,
)
from willis_service.application.ports import ResultShelf
from willis_service.domain.delivery import ResultObject
from willis_service.domain.destinations import SegType
from willis_service.domain.job import DICOM_OBJECTS, Job, ResultKind

_DICOM_KINDS = frozenset({*DICOM_OBJECTS, ResultKind.RETRACTION})
_WITH_SEG = frozenset({ResultKind.SEG, ResultKind.SR, ResultKind.RETRACTION})
"""What is another object where segmentations are label maps; parametric maps refer to none."""


@dataclass(frozen=True)
class ResultPacker:
    """Finds, and where needed makes, the file of a delivery. ``keep`` makes bytes durable."""

    shelf: ResultShelf
    outgoing: Path
    keep: Callable[[Path, bytes], None]

    def describe(self, job: Job, kind: ResultKind, seg: SegType) -> ResultObject:
        """What will be sent. Raises ResultError and OSError where there is no such file."""
        if kind is ResultKind.RETRACTION and ResultKind.SR not in job.results:
            # A study of no DICOM has no key object selection; who was told is told all the same.
            return ResultObject(kind, f"retraction-{job.id}")
        path = self.shelf.path(job.id, kind)
        if kind not in _DICOM_KINDS:
            with path.open("rb") as stream:
                return ResultObject(kind, hashlib.file_digest(stream, "sha256").hexdigest())
        sop_class, instance = _identity(path)
        if seg is SegType.BINARY or kind not in _WITH_SEG:
            return ResultObject(kind, instance, sop_class)
        there = class_there(sop_class, self._seg_class(job))
        return ResultObject(kind, labelmap_uid(instance), there)

    def pack(self, job: Job, kind: ResultKind, seg: SegType) -> tuple[ResultObject, Path]:
        """The file to send, and what it is. Raises ResultError and OSError."""
        described = self.describe(job, kind, seg)
        path = self.shelf.path(job.id, kind)
        if seg is SegType.BINARY or kind not in _WITH_SEG or described.sop_class_uid is None:
            return described, path
        target = self.outgoing / job.id / f"{described.object_id}.dcm"
        if not target.exists():
            self._make(path, described, self._seg_class(job), target)
        return described, target

    def _make(self, path: Path, described: ResultObject, seg_class: str, target: Path) -> None:
        source = dcmread(path)
        if described.sop_class_uid != LABELMAP_CLASS:
            self.keep(target, _bytes(renamed(source, seg_class)))
            return
        content = _bytes(as_labelmap(source))
        verify_labelmap(dcmread(BytesIO(content)), source)
        self.keep(target, content)

    def _seg_class(self, job: Job) -> str:
        """Of this job's segmentation as a receiver of label maps gets it."""
        if ResultKind.SEG not in job.results:
            return LABELMAP_CLASS
        path = self.shelf.path(job.id, ResultKind.SEG)
        header = dcmread(path, stop_before_pixels=True, specific_tags=["SegmentsOverlap"])
        return str(SegmentationStorage) if has_overlap(header) else LABELMAP_CLASS


def _identity(path: Path) -> tuple[str, str]:
    try:
        meta = read_file_meta_info(path)
        return str(meta.MediaStorageSOPClassUID), str(meta.MediaStorageSOPInstanceUID)
    except (InvalidDicomError, AttributeError) as error:
        raise ResultError(f"{path.name} is no DICOM file: it can't be sent.") from error


def _bytes(made: Dataset) -> bytes:
    buffer = BytesIO()
    made.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
