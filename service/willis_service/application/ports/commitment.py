"""Storage commitment: requests, what is checked, and the way back to the requester."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from willis_service.domain.commitment import (
    CommitmentReport,
    CommitmentRequest,
    CommitmentState,
    StoredCommitment,
)
from willis_service.domain.instance import StoredInstance
from willis_service.domain.peers import Destination


class CommitmentBook(Protocol):
    """The requests, as the database knows them."""

    def store(self, request: CommitmentRequest, now: datetime) -> None:
        """Keep a request; the same transaction of the same requester is asked anew."""
        ...

    def due(self, now: datetime) -> Sequence[StoredCommitment]:
        """Requests whose report is to be tried now, oldest first."""
        ...

    def postpone(self, commitment: StoredCommitment, until: datetime) -> None:
        """Count an attempt, and try again then."""
        ...

    def finish(self, commitment: StoredCommitment, state: CommitmentState, now: datetime) -> None:
        """Store how it ended, unless it was asked anew in the meantime."""
        ...


class ReceivedVersions(Protocol):
    """Everything that came under a SOP Instance UID and was not purged."""

    def __call__(self, sop_instance_uid: str) -> Sequence[StoredInstance]:
        """The first one and those in conflict with it; none where nothing is held."""
        ...


class FileProof(Protocol):
    """Proves that a file on disk is the object that was received."""

    def __call__(self, instance: StoredInstance) -> bool:
        """Whether size and digest are those of the index."""
        ...


class ReportSender(Protocol):
    """Sends an N-EVENT-REPORT."""

    def __call__(self, report: CommitmentReport, destination: Destination) -> None:
        """Send on an association of its own. Raises DestinationUnreachable or DestinationRefused.

        A destination that refused does not want the report; sending it again won't help.
        """
        ...
