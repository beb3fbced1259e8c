"""Ask destinations to vouch for what they have confirmed, before anything is removed here."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog

from willis_models.errors import DestinationRefused, DestinationUnreachable
from willis_service.application.ports import Clock
from willis_service.application.ports.delivering import CommitmentAsker, CommitmentBook
from willis_service.domain.delivery import Backoff, CommitmentAnswer

_LOG = structlog.get_logger(__name__)


def new_transaction_uid() -> str:
    """A UID that nobody has used."""
    return f"2.25.{uuid.uuid4().int}"


@dataclass(frozen=True)
class NoteCommitment:
    """Stores what a destination answered, on whatever association the answer came."""

    book: CommitmentBook
    again_after: timedelta
    clock: Clock

    def __call__(self, answer: CommitmentAnswer) -> int:
        """Store it; how many deliveries it was about (none where we did not ask)."""
        now = self.clock()
        count = self.book.note_answer(answer, now, now + self.again_after)
        _LOG.info("commitment_reported", deliveries=count, failed=len(answer.failed))
        for _reference, reason in answer.failed:
            _LOG.warning("commitment_failed", reason=f"0x{reason:04X}")
        return count


@dataclass
class AskCommitment:
    """Asks one destination, one job at a time."""

    destination: str
    book: CommitmentBook
    ask: CommitmentAsker
    note: NoteCommitment
    patience: timedelta
    backoff: Backoff
    clock: Clock
    chance: Callable[[], float]
    _failures: int = 0

    def __call__(self) -> bool:
        """Ask for one job's objects; whether there was anything to ask."""
        now = self.clock()
        deliveries = self.book.uncommitted(self.destination, now)
        if not deliveries:
            return False
        transaction, ids = new_transaction_uid(), [one.id for one in deliveries]
        # Stored first: the answer may come before the request returns.
        self.book.note_asked(ids, transaction, now + self.patience)
        try:
            answer = self.ask([r for one in deliveries if (r := one.reference)], transaction)
        except (DestinationUnreachable, DestinationRefused) as error:
            self._failures += 1
            pause = self.backoff.pause(self._failures, self.chance())
            self.book.note_asked(ids, transaction, now + pause)
            _LOG.warning("commitment_not_asked", destination=self.destination, code=error.code)
            return False
        self._failures = 0
        if answer is not None:
            self.note(answer)
        return True
