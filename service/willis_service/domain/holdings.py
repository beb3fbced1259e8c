"""What an installation holds, as DICOM's query model sees it: studies, series and instances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from willis_service.domain.job import ResultKind

Attributes = Mapping[str, Any]
"""A header in the DICOM JSON model (PS3.18 annex F): tag to ``{"vr": ..., "Value": [...]}``."""

# PS3.18 tables 10.6.3-3 and 10.6.3-4: what a search answers beside counts and addresses. Kept in
# the database, so that a search opens no file.
STUDY_ATTRIBUTES = (
    "00080020",  # StudyDate
    "00080030",  # StudyTime
    "00080050",  # AccessionNumber
    "00080090",  # ReferringPhysicianName
    "00080201",  # TimezoneOffsetFromUTC
    "00081030",  # StudyDescription
    "00100010",  # PatientName
    "00100020",  # PatientID
    "00100030",  # PatientBirthDate
    "00100040",  # PatientSex
    "00200010",  # StudyID
)
SERIES_ATTRIBUTES = (
    "00080021",  # SeriesDate
    "00080031",  # SeriesTime
    "00080060",  # Modality
    "0008103E",  # SeriesDescription
    "00180015",  # BodyPartExamined
    "00200011",  # SeriesNumber
    "00400244",  # PerformedProcedureStepStartDate
    "00400245",  # PerformedProcedureStepStartTime
    "00400275",  # RequestAttributesSequence
)
INSTANCE_ATTRIBUTES = (
    "00080008",  # ImageType
    "00200013",  # InstanceNumber
    "00280008",  # NumberOfFrames
    "00280010",  # Rows
    "00280011",  # Columns
    "00280100",  # BitsAllocated
    "0040A372",  # PerformedProcedureCodeSequence
    "0040A491",  # CompletionFlag
    "0040A493",  # VerificationFlag
)


class Level(StrEnum):
    """What a search looks for."""

    STUDIES = "studies"
    SERIES = "series"
    INSTANCES = "instances"


MATCH_KEYS: Mapping[str, tuple[str, Level]] = {
    "StudyInstanceUID": ("0020000D", Level.STUDIES),
    "PatientID": ("00100020", Level.STUDIES),
    "PatientName": ("00100010", Level.STUDIES),
    "AccessionNumber": ("00080050", Level.STUDIES),
    "StudyDate": ("00080020", Level.STUDIES),
    "StudyDescription": ("00081030", Level.STUDIES),
    "ModalitiesInStudy": ("00080061", Level.STUDIES),
    "SeriesInstanceUID": ("0020000E", Level.SERIES),
    "Modality": ("00080060", Level.SERIES),
    "SeriesDescription": ("0008103E", Level.SERIES),
    "SeriesNumber": ("00200011", Level.SERIES),
    "SOPInstanceUID": ("00080018", Level.INSTANCES),
    "SOPClassUID": ("00080016", Level.INSTANCES),
}
"""What can be matched: keyword to tag, and the level from which on it applies."""


@dataclass(frozen=True)
class Search:
    """A search: keyword to value (see ``MATCH_KEYS``), and which part of what is found."""

    match: Mapping[str, str]
    limit: int
    offset: int = 0


@dataclass(frozen=True)
class FoundStudy:
    """A study and what it holds, results included."""

    study_instance_uid: str
    attributes: Attributes
    modalities: tuple[str, ...]
    series: int
    instances: int


@dataclass(frozen=True)
class FoundSeries:
    """A series; ``study_attributes`` are those of its study."""

    study_instance_uid: str
    series_instance_uid: str
    attributes: Attributes
    study_attributes: Attributes
    instances: int


@dataclass(frozen=True)
class HeldObject:
    """An instance that can be read: received (``path``), or a result (``job_id`` and ``kind``).

    ``path`` is relative to the data folder.
    """

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    size_bytes: int
    path: str | None = None
    job_id: str | None = None
    kind: ResultKind | None = None


@dataclass(frozen=True)
class UndescribedStudy:
    """A study that changed since its headers were indexed, and one object of each new series."""

    study_instance_uid: str
    changed_at: datetime
    new_series: Mapping[str, str]
    """Series Instance UID to the path of its first object."""


@dataclass(frozen=True)
class UndescribedResults:
    """A job whose published objects are not indexed yet. ``edition`` names the publication."""

    job_id: str
    study_instance_uid: str
    edition: str
    kinds: tuple[ResultKind, ...]


@dataclass(frozen=True)
class StudyHeader:
    """What is indexed of a study: taken from the first object that came."""

    study_instance_uid: str
    changed_at: datetime
    attributes: Attributes


@dataclass(frozen=True)
class SeriesHeader:
    """What is indexed of a received series."""

    study_instance_uid: str
    series_instance_uid: str
    attributes: Attributes


@dataclass(frozen=True)
class ResultHeader:
    """What is indexed of a result; its series holds this object alone."""

    held: HeldObject
    edition: str
    attributes: Attributes


def text_of(attributes: Attributes, tag: str) -> str:
    """The values of an element as text, several of them with ``\\``; empty where it is absent.

    The component groups of a name are joined with ``=``, as DICOM writes them.
    """
    values = attributes.get(tag, {}).get("Value", ())
    return "\\".join(_plain(value) for value in values)


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return "=".join(str(value.get(group, "")) for group in _NAME_GROUPS).rstrip("=")
    return "" if value is None else str(value)


_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
