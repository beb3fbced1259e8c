"""Studies that wait to be routed, what became of them, and what identifies an input."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from willis_service.domain.completeness import Basis
from willis_service.domain.instance import StoredInstance


@dataclass(frozen=True)
class OpenStudy:
    """A study that has received instances which were not routed yet.

    ``instances`` is how many it has in all: with the time of the last one it tells whether
    something came in the meantime.
    """

    study_instance_uid: str
    open_since: datetime
    last_instance_at: datetime
    instances: int


@dataclass(frozen=True)
class SeriesArrival:
    """How far a series has arrived."""

    series_instance_uid: str
    instances: int
    last_instance_at: datetime


class OutcomeCode(StrEnum):
    """What became of a study."""

    ROUTED = "ROUTED"
    NO_RULE = "NO_RULE"
    """No rule takes any of its series."""
    NO_IMAGES = "NO_IMAGES"
    """It holds reports, segmentations and the like only."""
    ROUTING_FAILED = "ROUTING_FAILED"
    """Routing met an error; it is tried again."""


@dataclass(frozen=True)
class Decision:
    """What one pipeline does with a study: the job, or why there is none.

    ``basis`` says why its input was taken as complete. ``reasons`` say which series was chosen and
    why, and why others were not; they quote no description.
    """

    pipeline: str
    job_id: str | None
    basis: Basis | None
    rules: tuple[str, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class StudyOutcome:
    """How the routing of a study ended.

    ``images_fingerprint`` tells the images that were looked at; it is empty while more are waited
    for.
    """

    study_instance_uid: str
    code: OutcomeCode
    reason: str
    images_fingerprint: str
    decided_at: datetime
    decisions: tuple[Decision, ...] = ()

    @property
    def is_routed(self) -> bool:
        """Whether at least one pipeline analyses the study."""
        return self.code is OutcomeCode.ROUTED

    @property
    def is_final(self) -> bool:
        """Whether nothing is left to do until other images come."""
        return bool(self.images_fingerprint)

    def basis_of(self, job_id: str) -> Basis | None:
        """Why the job's input was taken as complete; None where it was asked for by name."""
        return next((d.basis for d in self.decisions if d.job_id == job_id), None)


def outcome_of(
    study_instance_uid: str, decisions: tuple[Decision, ...], decided_at: datetime
) -> StudyOutcome:
    """What became of a study, by what its pipelines decided; there are none without any image."""
    ordered = [decision.pipeline for decision in decisions if decision.job_id is not None]
    if ordered:
        code, reason = OutcomeCode.ROUTED, f"Analysed by {', '.join(ordered)}."
    elif decisions:
        said = " ".join(f"{one.pipeline}: {'; '.join(one.reasons)}." for one in decisions)
        code, reason = OutcomeCode.NO_RULE, f"No rule takes a series of the study. {said}"
    else:
        code, reason = OutcomeCode.NO_IMAGES, "The study holds no images: nothing is analysed."
    return StudyOutcome(study_instance_uid, code, reason, "", decided_at, decisions)


def fingerprint(study_instance_uid: str, instances: Iterable[StoredInstance]) -> str:
    """What identifies an input, whatever the order or the number of times it was sent.

    The digest goes over the study and the sorted (SOP Instance UID, content digest) pairs.
    """
    digest = hashlib.sha256(study_instance_uid.encode())
    for pair in sorted((i.sop_instance_uid, i.sha256) for i in instances):
        digest.update("\0".join(("", *pair)).encode())
    return digest.hexdigest()
