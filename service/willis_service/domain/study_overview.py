"""A study as a person who looks after the installation sees it. It names no patient."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from willis_service.domain.job import JobState
from willis_service.domain.study import StudyOutcome


class StudyState(StrEnum):
    """Where a study stands on its way to a job."""

    OPEN = "open"
    """More may come: it was not routed since its last instance."""
    ROUTED = "routed"
    """At least one pipeline analyses it."""
    NOT_ROUTED = "not_routed"
    """It was complete, and nothing analyses it; its outcome says why."""


@dataclass(frozen=True)
class JobLine:
    """A job of a study."""

    id: str
    pipeline: str
    state: JobState
    error_code: str | None
    created_at: datetime


@dataclass(frozen=True)
class StudyOverview:
    """One line of the list of studies. ``outcome`` is what routing decided, once it did."""

    study_instance_uid: str
    first_received_at: datetime
    last_received_at: datetime
    is_open: bool
    senders: tuple[str, ...]
    series: int
    instances: int
    size_bytes: int
    conflicts: int
    jobs: tuple[JobLine, ...]
    outcome: StudyOutcome | None = None

    @property
    def state(self) -> StudyState:
        """Where the study stands. An upload that names its pipeline has jobs and no outcome."""
        if self.is_open:
            return StudyState.OPEN
        is_routed = self.outcome.is_routed if self.outcome else bool(self.jobs)
        return StudyState.ROUTED if is_routed else StudyState.NOT_ROUTED


@dataclass(frozen=True)
class SeriesLine:
    """A received series of a study."""

    series_instance_uid: str
    instances: int
    first_received_at: datetime
    last_received_at: datetime


@dataclass(frozen=True)
class Version:
    """One content that came under a SOP Instance UID; ``is_used`` for the one that counts."""

    sha256: str
    sender: str
    received_at: datetime
    size_bytes: int
    is_used: bool


@dataclass(frozen=True)
class Conflict:
    """Different contents under one SOP Instance UID (R10): all are kept, the first one is used."""

    sop_instance_uid: str
    series_instance_uid: str
    versions: tuple[Version, ...]


@dataclass(frozen=True)
class StudyDetails:
    """A study with its series and its conflicts."""

    overview: StudyOverview
    series: tuple[SeriesLine, ...]
    conflicts: tuple[Conflict, ...]
