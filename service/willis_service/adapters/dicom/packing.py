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

from willis_models.errors import ResultError
from willis_service.adapters.dicom.labelmap import (
    as_labelmap,
    labelmap_class,
    labelmap_uid,
    renamed,
    verify_labelmap,
)
from willis_service.application.ports import ResultShelf
from willis_service.domain.delivery import ResultObject
from willis_service.domain.destinations import SegType
from willis_service.domain.job import Job, ResultKind

_DICOM_KINDS = frozenset({ResultKind.SEG, ResultKind.SR, ResultKind.RETRACTION})


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
        if seg is SegType.BINARY:
            return ResultObject(kind, instance, sop_class)
        return ResultObject(kind, labelmap_uid(instance), labelmap_class(sop_class))

    def pack(self, job: Job, kind: ResultKind, seg: SegType) -> tuple[ResultObject, Path]:
        """The file to send, and what it is. Raises ResultError and OSError."""
        described = self.describe(job, kind, seg)
        path = self.shelf.path(job.id, kind)
        if seg is SegType.BINARY or described.sop_class_uid is None:
            return described, path
        target = self.outgoing / job.id / f"{described.object_id}.dcm"
        if not target.exists():
            self._make(path, kind, target)
        return described, target

    def _make(self, path: Path, kind: ResultKind, target: Path) -> None:
        source = dcmread(path)
        made = as_labelmap(source) if kind is ResultKind.SEG else renamed(source)
        content = _bytes(made)
        if kind is ResultKind.SEG:
            verify_labelmap(dcmread(BytesIO(content)), source)
        self.keep(target, content)


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
