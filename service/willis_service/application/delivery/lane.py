"""The way to one destination: one job's objects at a time, each outcome stored at once."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from willis_models.errors import WillisError
from willis_service.application.ports import Clock, JobBook
from willis_service.application.ports.delivering import Carrier, Outbox, Packer, Parcel
from willis_service.domain.delivery import (
    Backoff,
    Delivery,
    Outcome,
    Postponed,
    Refused,
    Sent,
)
from willis_service.domain.destinations import ResultDestination
from willis_service.domain.job import INTERNAL_ERROR, ResultKind

_LOG = structlog.get_logger(__name__)
_ORDER = {kind: place for place, kind in enumerate(ResultKind)}  # a SEG before the SR that names it


@dataclass
class Lane:
    """Sends what is due to one destination. While that is away, one probe at a time."""

    destination: ResultDestination
    outbox: Outbox
    jobs: JobBook
    packer: Packer
    carry: Carrier
    courier: str
    lease: timedelta
    backoff: Backoff
    clock: Clock
    chance: Callable[[], float]
    monotonic: Callable[[], float] = time.monotonic
    _failures: int = 0
    _closed_until_s: float = 0.0
    _is_known_well: bool = False
    _unstored: dict[str, tuple[Delivery, Outcome]] = field(default_factory=dict)

    def __call__(self) -> bool:
        """Send one job's objects; whether there was anything to do."""
        self._store_again()
        if self.monotonic() < self._closed_until_s:
            return False
        now = self.clock()
        deliveries = self.outbox.claim(self.destination.name, self.courier, now, now + self.lease)
        if not deliveries:
            return False
        self._send(sorted(deliveries, key=lambda one: _ORDER[one.kind]))
        return True

    def _send(self, deliveries: Sequence[Delivery]) -> None:
        open_ones = {one.id: one for one in deliveries}

        def report(parcel: Parcel, outcome: Outcome) -> None:
            if open_ones.pop(parcel.delivery.id, None) is not None:
                self._settle(parcel.delivery, outcome)

        parcels = self._parcels(deliveries, open_ones)
        try:
            if parcels:
                self.carry(parcels, report)
        except Exception as error:
            # The edge of a delivery: a bug in it must not end the lane.
            _log_bug(error)
        for one in list(open_ones.values()):
            message = "The delivery broke; the log holds the trace."
            self._settle(one, Postponed(INTERNAL_ERROR, message, may_be_there=True))

    def _parcels(
        self, deliveries: Sequence[Delivery], open_ones: dict[str, Delivery]
    ) -> Sequence[Parcel]:
        job = self.jobs.get(deliveries[0].job_id)
        parcels = []
        for one in deliveries:
            try:
                found, path = self.packer.pack(job, one.kind, self.destination.seg)
            except Exception as error:
                # Neither a missing file nor a bug gets better by itself; a person can try again.
                self._settle(open_ones.pop(one.id), _unreadable(error))
                continue
            if found.object_id == one.object_id:
                parcels.append(Parcel(one, job, path))
            else:
                # A new edition was published since: its objects have deliveries of their own.
                gone = Refused("RESULT_REPLACED", "The job has another result since.")
                self._settle(open_ones.pop(one.id), gone)
        return parcels

    def _settle(self, delivery: Delivery, outcome: Outcome) -> None:
        log = _LOG.bind(
            delivery_id=delivery.id,
            job_id=delivery.job_id,
            kind=delivery.kind.name.lower(),
            destination=self.destination.name,
            attempt=delivery.attempts,
        )
        if isinstance(outcome, Sent):
            log.info("delivery_sent", warning=outcome.warning)
        elif isinstance(outcome, Postponed):
            log.warning("delivery_postponed", code=outcome.code)
        else:
            log.error("delivery_refused", code=outcome.code)
        # Remembered until it is stored: after a failure of the database, what was confirmed must
        # not be sent once more.
        self._unstored[delivery.id] = (delivery, outcome)
        self._store(delivery, outcome)
        self._heed(outcome)

    def _store(self, delivery: Delivery, outcome: Outcome) -> None:
        now = self.clock()
        due = self._due(delivery, outcome, now)
        self.outbox.settle(delivery.id, self.courier, outcome, now, due)
        del self._unstored[delivery.id]

    def _store_again(self) -> None:
        for delivery, outcome in list(self._unstored.values()):
            self._store(delivery, outcome)

    def _due(self, delivery: Delivery, outcome: Outcome, now: datetime) -> datetime | None:
        if isinstance(outcome, Sent):
            is_notice = delivery.kind is ResultKind.RETRACTION
            return now if self.destination.wants_commitment and not is_notice else None
        if isinstance(outcome, Refused):
            return None
        pause = self.backoff.pause(delivery.attempts, self.chance())
        asked = timedelta(seconds=outcome.retry_after_s or 0)
        return now + max(pause, min(asked, self.backoff.longest))

    def _heed(self, outcome: Outcome) -> None:
        """Close the lane for a while where the destination is away; open it where it answers."""
        if isinstance(outcome, Postponed) and outcome.is_away:
            if self.monotonic() < self._closed_until_s:
                return  # the same failure, met by the next object
            self._failures += 1
            self._is_known_well = False
            pause = self.backoff.pause(self._failures, self.chance())
            self._closed_until_s = self.monotonic() + pause.total_seconds()
        elif isinstance(outcome, Sent):
            self._failures, self._closed_until_s = 0, 0.0
            if not self._is_known_well:
                self.outbox.hasten(self.destination.name, self.clock())
                self._is_known_well = True


def _unreadable(error: Exception) -> Refused:
    if isinstance(error, WillisError):
        return Refused("RESULT_UNREADABLE", error.message)
    if not isinstance(error, OSError):
        _log_bug(error)
    return Refused("RESULT_UNREADABLE", f"The file can't be made ready: {type(error).__name__}.")


def _log_bug(error: Exception) -> None:
    # Its message may quote a header, so only its type and place are logged.
    frames = "".join(traceback.format_tb(error.__traceback__))
    _LOG.error("delivery_failed", error=type(error).__name__, frames=frames)
