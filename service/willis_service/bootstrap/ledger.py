"""The delivery ledger, as the courier and the receiver write it."""

from __future__ import annotations

from datetime import timedelta

from willis_service.adapters.storage.deliveries import SqlOutbox
from willis_service.application.delivery.commitments import NoteCommitment
from willis_service.bootstrap.core import Core, clock

LEASE = timedelta(seconds=60)


def outbox_of(core: Core) -> SqlOutbox:
    """The ledger as the courier uses it."""
    # A question is put off by either: until an answer must have come, or for a failure's pause.
    longest_s = max(core.settings.delivery_longest_retry_s, core.settings.commitment_patience_s)
    return SqlOutbox(core.database, lease=LEASE, patience=timedelta(seconds=longest_s))


def commitment_noter_of(core: Core) -> NoteCommitment:
    """Stores the reports of archives, whoever receives them."""
    again_after = timedelta(seconds=core.settings.delivery_longest_retry_s)
    return NoteCommitment(outbox_of(core), again_after, clock)
