"""What became of an object that came over the web."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from willis_service.domain.instance import Receipt


class UploadFailure(IntEnum):
    """Why an object was not stored: FailureReason (0008,1197), told apart as for C-STORE (R9)."""

    PROCESSING_FAILURE = 0x0110
    CLASS_NOT_SUPPORTED = 0x0122
    TOO_LARGE = 0x0213
    OUT_OF_RESOURCES = 0xA700
    NOT_UNDERSTOOD = 0xC000
    OTHER_STUDY = 0xC409
    """The object belongs to another study than the one that was posted to."""


@dataclass(frozen=True)
class Taken:
    """One object: stored (``receipt``) or not (``failure``). It has no UIDs if it named none."""

    receipt: Receipt | None = None
    failure: UploadFailure | None = None
    study_instance_uid: str = ""
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
