"""An alarm: something that was accepted and has no result."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class AlarmKind(StrEnum):
    """What is missing."""

    NO_RESULT = "no_result"
    """A job has not ended in time. It may still."""
    FAILED = "failed"
    """A job failed, or was parked. A person can have it tried again."""
    NOT_ROUTED = "not_routed"
    """A study was received and no job could be ordered for it."""
    BACKLOG = "backlog"
    """What waits takes longer than the objective: results will come late."""


@dataclass(frozen=True)
class Alarm:
    """Stands until there is a result. That of a backlog names neither study nor job."""

    kind: AlarmKind
    code: str
    message: str
    study_instance_uid: str
    job_id: str | None
    since: datetime
