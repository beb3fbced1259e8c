"""Storage commitment: what a sender asks us to vouch for, and what we answer (PS3.4 annex J)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import NamedTuple

PUSH_MODEL_CLASS = "1.2.840.10008.1.20.1"
PUSH_MODEL_INSTANCE = "1.2.840.10008.1.20.1.1"

ALL_COMMITTED = 1
"""Event type of a report without failures (PS3.4 table J.3.3-1)."""
SOME_FAILED = 2
"""Event type of a report that names failures."""


class Reference(NamedTuple):
    """An object as a request names it."""

    sop_class_uid: str
    sop_instance_uid: str


class FailureReason(IntEnum):
    """Why we don't vouch for an object: (0008,1197), PS3.3 C.14.1.1."""

    PROCESSING_FAILURE = 0x0110
    NO_SUCH_OBJECT = 0x0112
    CLASS_CONFLICT = 0x0119
    DUPLICATE_TRANSACTION = 0x0131


@dataclass(frozen=True)
class CommitmentRequest:
    """An N-ACTION on its way in.

    ``requester`` is the calling AE title and ``address`` the IP address of the association: the
    report goes to the peer that the settings name for this title.
    """

    transaction_uid: str
    requester: str
    address: str
    references: tuple[Reference, ...]


class CommitmentState(StrEnum):
    """Where a request stands. ``reported``, ``refused`` and ``expired`` are final."""

    WAITING = "waiting"
    REPORTED = "reported"
    REFUSED = "refused"
    """The requester does not take the report; asking again is up to it."""
    EXPIRED = "expired"
    """The requester could not be reached for as long as a report is tried."""


LONGEST_PAUSE = timedelta(minutes=10)
"""A report that could not be delivered is never tried later than this."""


@dataclass(frozen=True)
class StoredCommitment:
    """A request that is safe in the database, and how often its report was tried."""

    id: int
    request: CommitmentRequest
    received_at: datetime
    state: CommitmentState = CommitmentState.WAITING
    attempts: int = 0
    next_attempt_at: datetime | None = None


@dataclass(frozen=True)
class Failure:
    """An object that we don't vouch for."""

    reference: Reference
    reason: FailureReason


@dataclass(frozen=True)
class CommitmentReport:
    """An N-EVENT-REPORT: what is kept for good here, and what is not."""

    transaction_uid: str
    committed: tuple[Reference, ...]
    failed: tuple[Failure, ...]

    @property
    def event_type(self) -> int:
        """1 where everything is committed, 2 where something is not."""
        return SOME_FAILED if self.failed else ALL_COMMITTED


def report_on(
    request: CommitmentRequest, verdicts: Sequence[FailureReason | None]
) -> CommitmentReport:
    """The report for a request; one verdict for each reference, None where it is committed."""
    judged = list(zip(request.references, verdicts, strict=True))
    return CommitmentReport(
        transaction_uid=request.transaction_uid,
        committed=tuple(reference for reference, reason in judged if reason is None),
        failed=tuple(Failure(ref, reason) for ref, reason in judged if reason is not None),
    )
