"""The delivery of one object to one destination, and the states that it goes through."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from willis_service.domain.commitment import Reference
from willis_service.domain.job import Priority, ResultKind


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    PLANNED = "planned"
    SENDING = "sending"
    WAITING = "waiting"
    """Failed for now; tried again at ``next_attempt_at``."""
    SENT = "sent"
    """The destination confirmed it."""
    COMMITTED = "committed"
    """The destination vouched for keeping it."""
    REFUSED = "refused"
    """The destination said no; sending the same again won't help (R42)."""
    RETRACTED = "retracted"
    """It was sent, and the destination knows that the result was rejected since."""
    WITHDRAWN = "withdrawn"
    """Not to be sent: replaced or retracted before it left, or dropped by a person."""

    @property
    def is_owed(self) -> bool:
        """Whether the destination does not have it and should."""
        return self in OWED


OWED = frozenset(
    {
        DeliveryState.PLANNED,
        DeliveryState.SENDING,
        DeliveryState.WAITING,
        DeliveryState.REFUSED,
    }
)
CONFIRMED = frozenset({DeliveryState.SENT, DeliveryState.COMMITTED, DeliveryState.RETRACTED})


@dataclass(frozen=True)
class ResultObject:
    """A file as one destination gets it.

    ``object_id`` is the SOP Instance UID of a DICOM object and the SHA-256 of any other file.
    """

    kind: ResultKind
    object_id: str
    sop_class_uid: str | None = None


@dataclass(frozen=True)
class NewDelivery:
    """A delivery to be planned. The same one always has the same id, so it is planned once."""

    job_id: str
    destination: str
    object: ResultObject
    priority: Priority = Priority.ROUTINE

    @property
    def id(self) -> str:
        """Identifies job, destination and object."""
        parts = (self.job_id, self.destination, self.object.kind, self.object.object_id)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Delivery:
    """A row of the ledger."""

    id: str
    job_id: str
    destination: str
    kind: ResultKind
    object_id: str
    sop_class_uid: str | None
    state: DeliveryState
    priority: Priority
    attempts: int
    planned_at: datetime
    next_attempt_at: datetime
    attempted_at: datetime | None = None
    sent_at: datetime | None = None
    committed_at: datetime | None = None
    error_code: str | None = None
    error_message: str | None = None

    @property
    def reference(self) -> Reference | None:
        """How storage commitment names it; None where it is no DICOM object."""
        return Reference(self.sop_class_uid, self.object_id) if self.sop_class_uid else None


@dataclass(frozen=True)
class Sent:
    """The destination confirmed the object. ``warning`` is the code of what it remarked on."""

    warning: str | None = None


UNREACHABLE = "UNREACHABLE"
"""Code of an attempt that found nobody there: the object was not offered."""


@dataclass(frozen=True)
class Postponed:
    """It did not work now and may later.

    ``may_be_there``: the object left us and no answer came, so that nobody knows. ``is_away``: the
    destination as a whole does not answer, so that the next object need not be tried either.
    """

    code: str
    message: str
    may_be_there: bool = False
    is_away: bool = False
    retry_after_s: float | None = None


@dataclass(frozen=True)
class Refused:
    """The destination said no, and would again."""

    code: str
    message: str


Outcome = Sent | Postponed | Refused


@dataclass(frozen=True)
class Backoff:
    """How long to wait after a failure: full jitter below a ceiling that doubles up to a cap.

    Without jitter, everything that failed together would come back together.
    """

    first: timedelta
    longest: timedelta

    def pause(self, failures: int, chance: float) -> timedelta:
        """The pause after this many failures in a row; ``chance`` is random in [0, 1)."""
        doublings = min(max(failures - 1, 0), 20)
        ceiling = min(self.first * (1 << doublings), self.longest)
        return max(ceiling * chance, min(self.first / 10, self.longest))


@dataclass(frozen=True)
class CommitmentAnswer:
    """An N-EVENT-REPORT from a destination: what it keeps, and what it does not, with reasons."""

    transaction_uid: str
    committed: tuple[Reference, ...]
    failed: tuple[tuple[Reference, int], ...]
