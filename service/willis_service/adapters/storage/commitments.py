"""Storage commitment requests in the database, and the proof of what they ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Row, and_, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from willis_service.adapters.storage.database import Database
from willis_service.adapters.storage.tables import COMMITMENT, INSTANCE
from willis_service.domain.commitment import (
    LONGEST_PAUSE,
    CommitmentRequest,
    CommitmentState,
    Reference,
    StoredCommitment,
)
from willis_service.domain.instance import StoredInstance, content_digest

_INSTANCE = [INSTANCE.c[field.name] for field in fields(StoredInstance)]
_META_START = 132  # PS3.10 7.1: preamble and prefix, then the group length
_BATCH = 20


@dataclass(frozen=True)
class SqlCommitments:
    """Serves the ports CommitmentBook and ReceivedVersions."""

    database: Database

    def store(self, request: CommitmentRequest, now: datetime) -> None:
        """Keep a request; the same transaction of the same requester is asked anew."""
        key = and_(
            COMMITMENT.c.requester == request.requester,
            COMMITMENT.c.transaction_uid == request.transaction_uid,
        )
        row = _row(request, now)
        try:
            with self.database.write() as connection:
                if connection.execute(update(COMMITMENT).where(key).values(row)).rowcount == 0:
                    connection.execute(insert(COMMITMENT).values(row))
        except IntegrityError:
            # The same request over two associations at once; now it is seen.
            with self.database.write() as connection:
                connection.execute(update(COMMITMENT).where(key).values(row))

    def due(self, now: datetime) -> Sequence[StoredCommitment]:
        """Requests whose report is to be tried now, oldest first."""
        waits = COMMITMENT.c.state == CommitmentState.WAITING
        again = COMMITMENT.c.next_attempt_at
        # Nobody is told to wait longer than the longest pause: the clock was set back, and it is
        # over.
        is_due = or_(again.is_(None), again <= now, again > now + LONGEST_PAUSE)
        query = select(COMMITMENT).where(waits, is_due).order_by(COMMITMENT.c.id).limit(_BATCH)
        with self.database.read() as connection:
            return [_commitment(row) for row in connection.execute(query)]

    def postpone(self, commitment: StoredCommitment, until: datetime) -> None:
        """Count an attempt, and try again then."""
        self._change(commitment, attempts=commitment.attempts + 1, next_attempt_at=until)

    def finish(self, commitment: StoredCommitment, state: CommitmentState, now: datetime) -> None:
        """Store how it ended, unless it was asked anew in the meantime."""
        attempts = commitment.attempts + 1
        self._change(commitment, state=state, attempts=attempts, finished_at=now)

    def versions(self, sop_instance_uid: str) -> Sequence[StoredInstance]:
        """Everything that is kept under this UID, the first one first."""
        this = INSTANCE.c.sop_instance_uid == sop_instance_uid
        query = select(*_INSTANCE).where(this, INSTANCE.c.purged_at.is_(None))
        with self.database.read() as connection:
            rows = connection.execute(query.order_by(INSTANCE.c.id))
            return [StoredInstance(**row._mapping) for row in rows]

    def _change(self, commitment: StoredCommitment, **values: Any) -> None:
        this = and_(
            COMMITMENT.c.id == commitment.id,
            COMMITMENT.c.received_at == commitment.received_at,
            COMMITMENT.c.state == CommitmentState.WAITING,
        )
        with self.database.write() as connection:
            connection.execute(update(COMMITMENT).where(this).values(values))


@dataclass(frozen=True)
class FileDigests:
    """Compares files in the data folder with the index; serves the port FileProof."""

    root: Path

    def __call__(self, instance: StoredInstance) -> bool:
        """Whether size and digest are those of the index."""
        path = self.root / instance.path
        try:
            with path.open("rb") as stream:
                start = stream.read(_META_START + 12)
                stream.seek(_META_START + 12 + int.from_bytes(start[-4:], "little"))
                digest = content_digest(instance.transfer_syntax_uid)
                while chunk := stream.read(1 << 20):
                    digest.update(chunk)
                size_bytes = stream.tell()
        except OSError:
            return False
        return (size_bytes, digest.hexdigest()) == (instance.size_bytes, instance.sha256)


def _row(request: CommitmentRequest, now: datetime) -> dict[str, Any]:
    return {
        "requester": request.requester,
        "transaction_uid": request.transaction_uid,
        "address": request.address,
        "objects": [list(reference) for reference in request.references],
        "received_at": now,
        "state": CommitmentState.WAITING,
        "attempts": 0,
        "next_attempt_at": None,
        "finished_at": None,
    }


def _commitment(row: Row[Any]) -> StoredCommitment:
    request = CommitmentRequest(
        transaction_uid=row.transaction_uid,
        requester=row.requester,
        address=row.address,
        references=tuple(Reference(*pair) for pair in row.objects),
    )
    return StoredCommitment(
        id=row.id,
        request=request,
        received_at=row.received_at,
        state=CommitmentState(row.state),
        attempts=row.attempts,
        next_attempt_at=row.next_attempt_at,
    )
