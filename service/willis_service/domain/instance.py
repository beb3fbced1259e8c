"""A DICOM instance as it was received: identifiers, digest and where its bytes lie."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")

# PS3.4 B.5: objects that describe or mark images and are never the input of an analysis. Keeping
# them out of the fingerprint also keeps our own results, sent back by a PACS, from starting a job.
NO_IMAGE_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.88.",  # structured reports and key object selections
    "1.2.840.10008.5.1.4.1.1.11.",  # presentation states
    "1.2.840.10008.5.1.4.1.1.66",  # raw data, registrations, segmentations, surfaces
    "1.2.840.10008.5.1.4.1.1.104.",  # encapsulated documents
    "1.2.840.10008.5.1.4.1.1.9.",  # waveforms
    "1.2.840.10008.5.1.4.1.1.481.",  # radiotherapy
)


@dataclass(frozen=True)
class InstanceIdentity:
    """What an object says it is."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str


@dataclass(frozen=True)
class IncomingInstance(InstanceIdentity):
    """An instance in memory, on its way in: its bytes undecoded, behind a file-meta header."""

    sender: str
    header: bytes
    data_set: bytes

    @property
    def size_bytes(self) -> int:
        """Size of the file that it becomes."""
        return len(self.header) + len(self.data_set)


@dataclass(frozen=True)
class StoredInstance:
    """An instance that is safe on disk. ``path`` is relative to the data folder."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    sha256: str
    path: str
    size_bytes: int
    sender: str
    received_at: datetime

    @property
    def may_hold_an_image(self) -> bool:
        """Whether the object can be the input of an analysis."""
        return not self.sop_class_uid.startswith(NO_IMAGE_CLASSES)


@dataclass(frozen=True)
class StudyLimits:
    """How far a study may grow, conflicting instances included."""

    max_instances: int
    max_bytes: int

    def admit(self, instances: int, size_bytes: int) -> bool:
        """Whether a study may have this many instances and bytes."""
        return instances <= self.max_instances and size_bytes <= self.max_bytes


@dataclass(frozen=True)
class Arrival:
    """An instance whose file is in its place, and how far its study may grow."""

    instance: StoredInstance
    opens_study: bool
    limits: StudyLimits


class Receipt(StrEnum):
    """What became of an instance that was sent."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    """Other bytes under a known SOP Instance UID: kept beside the first, and flagged."""


def safe_name(uid: str) -> str:
    """A folder or file name for a UID; what is not a plain UID is replaced by its digest."""
    if len(uid) <= 64 and _UID.fullmatch(uid):
        return uid
    return "x" + hashlib.sha256(uid.encode()).hexdigest()[:40]


def storage_path(instance: InstanceIdentity, mark: str) -> str:
    """Where an instance lies, relative to the data folder; another mark gives another name.

    The mark is drawn, not derived: two files under one SOP Instance UID never meet.
    """
    names = (instance.study_instance_uid, instance.series_instance_uid)
    folder = "/".join(safe_name(name) for name in names)
    return f"studies/{folder}/{safe_name(instance.sop_instance_uid)}-{mark[:16]}.dcm"


def content_digest(transfer_syntax_uid: str) -> hashlib._Hash:
    """A SHA-256 to feed with the data set: what tells instances under one UID apart.

    The encoding counts; the file-meta header is ours and stays out.
    """
    return hashlib.sha256(transfer_syntax_uid.encode() + b"\0")
