"""Storage commitment as its provider: promise only what was looked at (PS3.4 annex J).

The request is durable before its N-ACTION is answered. The report goes out on an association of
our own, again and again until the requester took it or the request expired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from willis_models.errors import DestinationRefused, DestinationUnreachable, UnknownRequester
from willis_service.application.ports import Clock
from willis_service.application.ports.commitment import (
    CommitmentBook,
    FileProof,
    ReceivedVersions,
    ReportSender,
)
from willis_service.domain.commitment import (
    LONGEST_PAUSE,
    CommitmentRequest,
    CommitmentState,
    FailureReason,
    Reference,
    StoredCommitment,
    report_on,
)
from willis_service.domain.peers import Destination

_LOG = structlog.get_logger(__name__)
_FIRST_PAUSE = timedelta(seconds=5)


@dataclass(frozen=True)
class TakeCommitment:
    """Answers an N-ACTION: ``peers`` says where the report of each AE title goes."""

    book: CommitmentBook
    peers: Mapping[str, Destination]
    clock: Clock

    def __call__(self, request: CommitmentRequest) -> None:
        """Keep the request; durable when this returns. Raises UnknownRequester."""
        if request.requester not in self.peers:
            raise UnknownRequester(
                f"No address is known for {request.requester}: add it to WILLIS_COMMITMENT_PEERS."
            )
        self.book.store(request, self.clock())
        _LOG.info("commitment_requested", objects=len(request.references))


@dataclass(frozen=True)
class Custody:
    """Says whether an object is safely here: in the index, of that class, and whole on disk."""

    versions: ReceivedVersions
    is_whole: FileProof

    def __call__(self, reference: Reference) -> FailureReason | None:
        """None where we vouch for the object, else why not.

        The requester does not say which content it means, so each one under the UID has to be
        whole.
        """
        versions = self.versions(reference.sop_instance_uid)
        if not versions:
            return FailureReason.NO_SUCH_OBJECT
        if all(one.sop_class_uid != reference.sop_class_uid for one in versions):
            return FailureReason.CLASS_CONFLICT
        if not all(self.is_whole(one) for one in versions):
            return FailureReason.PROCESSING_FAILURE
        return None


@dataclass(frozen=True)
class AnswerCommitments:
    """Sends the reports that are due."""

    book: CommitmentBook
    custody: Custody
    send: ReportSender
    peers: Mapping[str, Destination]
    expires_after: timedelta
    clock: Clock

    def __call__(self) -> int:
        """One round; how many requests were looked at."""
        due = self.book.due(self.clock())
        for commitment in due:
            self._answer(commitment)
        return len(due)

    def _answer(self, commitment: StoredCommitment) -> None:
        now = self.clock()
        if now - commitment.received_at >= self.expires_after:
            self._finish(commitment, CommitmentState.EXPIRED)
            return
        peer = self.peers.get(commitment.request.requester)
        if peer is None:  # taken out of the settings since; it may come back
            self.book.postpone(commitment, now + LONGEST_PAUSE)
            return
        self._report(commitment, peer)

    def _report(self, commitment: StoredCommitment, peer: Destination) -> None:
        verdicts = [self.custody(reference) for reference in commitment.request.references]
        self._note_missing(commitment, verdicts)
        try:
            self.send(report_on(commitment.request, verdicts), peer)
        except DestinationUnreachable as error:
            _LOG.warning("commitment_waits", attempt=commitment.attempts + 1, reason=error.message)
            self.book.postpone(commitment, self.clock() + _pause(commitment.attempts))
        except DestinationRefused:
            self._finish(commitment, CommitmentState.REFUSED)
        else:
            self._finish(commitment, CommitmentState.REPORTED)

    def _note_missing(
        self, commitment: StoredCommitment, verdicts: Sequence[FailureReason | None]
    ) -> None:
        if FailureReason.PROCESSING_FAILURE in verdicts:
            damaged = verdicts.count(FailureReason.PROCESSING_FAILURE)
            _LOG.error("stored_objects_damaged", commitment=commitment.id, objects=damaged)

    def _finish(self, commitment: StoredCommitment, state: CommitmentState) -> None:
        log = _LOG.info if state is CommitmentState.REPORTED else _LOG.error
        log("commitment_ended", commitment=commitment.id, state=state)
        self.book.finish(commitment, state, self.clock())


def _pause(attempts: int) -> timedelta:
    """Doubles from attempt to attempt; the cap keeps a requester that comes back from waiting."""
    doublings: int = 2 ** min(attempts, 16)
    return min(_FIRST_PAUSE * doublings, LONGEST_PAUSE)
