"""What may be removed, and why the rest stays (R45)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Part(StrEnum):
    """What of a study is kept or removed on its own."""

    INSTANCES = "instances"
    """The images as they were received."""
    RESULTS = "results"


@dataclass(frozen=True)
class Holding:
    """What is kept of one study, or of one uploaded image that belongs to none.

    ``job_ids``: jobs with results. ``done_at``: when the last thing happened to it. ``blockers``:
    why nothing of it may go, in words for a person; empty where all that is owed was delivered.
    """

    study_instance_uid: str
    job_ids: tuple[str, ...]
    arrived_at: datetime
    done_at: datetime
    instance_count: int
    instance_bytes: int
    blockers: tuple[str, ...] = ()

    def holds(self, part: Part) -> bool:
        """Whether there is anything of this part."""
        return self.instance_count > 0 if part is Part.INSTANCES else bool(self.job_ids)


@dataclass(frozen=True)
class Policy:
    """How long things are kept after delivery. None, and 0 bytes, switch a rule off."""

    instances_after: timedelta | None = None
    results_after: timedelta | None = None
    free_bytes: int = 0

    @property
    def is_on(self) -> bool:
        """Whether anything is ever removed. It is not unless somebody asks for it."""
        return self.free_bytes > 0 or any((self.instances_after, self.results_after))

    def newest(self, now: datetime) -> datetime | None:
        """What arrived after this can't be over age; None where age is no reason."""
        ages = [age for age in (self.instances_after, self.results_after) if age is not None]
        return now - min(ages) if ages else None

    def is_over_age(self, holding: Holding, part: Part, now: datetime) -> bool:
        """Whether this part has been kept for its time."""
        after = self.instances_after if part is Part.INSTANCES else self.results_after
        return after is not None and now - holding.done_at >= after


@dataclass(frozen=True)
class Verdict:
    """What becomes of one part of a holding, and why."""

    holding: Holding
    part: Part
    goes: bool
    reason: str
