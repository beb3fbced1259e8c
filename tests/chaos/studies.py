"""Any number of small head CT studies, made from one by giving it new UIDs byte for byte."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from pydicom import dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from tests.chaos.pipelines import POISON_HU
from tests.chaos.wire import CT
from tests.synthetic_ct import write_ct_series

SLICES, SIDE, STEP_MM = 14, 32, 10.0
_INTERCEPT_HU = -1024


@dataclass(frozen=True)
class Instance:
    """A data set as it goes over the wire."""

    study_instance_uid: str
    sop_instance_uid: str
    data_set: bytes
    sop_class_uid: str = CT

    @cached_property
    def sha256(self) -> str:
        """Digest of the data set."""
        return hashlib.sha256(self.data_set).hexdigest()


@dataclass(frozen=True)
class Study:
    """The instances of one study, in the order of the table."""

    study_instance_uid: str
    instances: Sequence[Instance]

    def poisoned(self) -> Study:
        """The same study with a voxel that kills whoever analyses it."""
        first, *others = self.instances
        pixels = SIDE * SIDE * 2
        stored = (POISON_HU - _INTERCEPT_HU).to_bytes(2, "little")
        changed = first.data_set[:-pixels] + stored + first.data_set[2 - pixels :]
        return replace(self, instances=(replace(first, data_set=changed), *others))


class Studies:
    """Makes studies; equal seeds make equal ones."""

    def __init__(self, seed: str) -> None:
        self._seed, self._count = seed, 0
        with TemporaryDirectory() as folder:
            paths = write_ct_series(Path(folder), shape=(SLICES, SIDE, SIDE), slice_step_mm=STEP_MM)
            headers = [dcmread(path, stop_before_pixels=True) for path in paths]
            self._template = sorted(
                (
                    (float(h.ImagePositionPatient[2]), str(h.SOPInstanceUID), data_set_of(path))
                    for h, path in zip(headers, paths, strict=True)
                ),
            )
        first = headers[0]
        self._uids = tuple(
            str(uid)
            for uid in (first.StudyInstanceUID, first.SeriesInstanceUID, first.FrameOfReferenceUID)
        )

    def make(self) -> Study:
        """The next study."""
        self._count += 1
        study, series, frame = (
            self._uid(kind, self._count) for kind in ("study", "series", "frame")
        )
        renamed = dict(zip(self._uids, (study, series, frame), strict=True))
        instances = []
        for number, (_, sop, data_set) in enumerate(self._template):
            fresh = self._uid("instance", self._count, number)
            instances.append(Instance(study, fresh, _renamed(data_set, renamed | {sop: fresh})))
        return Study(study, tuple(instances))

    def _uid(self, *what: object) -> str:
        return str(generate_uid(entropy_srcs=["chaos", self._seed, *map(str, what)]))


def data_set_of(path: Path) -> bytes:
    """What follows the file-meta group (PS3.10 7.1): the bytes that a sender sent."""
    content = path.read_bytes()
    if content[128:132] != b"DICM":
        raise ValueError(f"{path.name} is no DICOM file.")
    return content[144 + int.from_bytes(content[140:144], "little") :]


def as_file(instance: Instance) -> bytes:
    """The instance as a DICOM file with a sound header."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = instance.sop_class_uid
    meta.MediaStorageSOPInstanceUID = instance.sop_instance_uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = DicomBytesIO()
    write_file_meta_info(buffer, meta, enforce_standard=True)
    return bytes(128) + b"DICM" + buffer.getvalue() + instance.data_set


def _renamed(data_set: bytes, uids: dict[str, str]) -> bytes:
    for old, new in uids.items():
        if len(old) != len(new):
            raise ValueError("A UID of another length would break the encoding.")
        data_set = data_set.replace(old.encode(), new.encode())
    return data_set
