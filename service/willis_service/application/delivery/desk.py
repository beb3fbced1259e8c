"""The ledger for people: look, try again, drop, and retract a result from everybody who got it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import structlog

from willis_models.errors import DeliveryConflict, NotReady
from willis_service.application.ports import Clock, JobBook
from willis_service.application.ports.delivering import (
    DeliveryBook,
    DeliveryQuery,
    DestinationStatus,
    Packer,
    RetractionWriter,
)
from willis_service.domain.delivery import CONFIRMED, OWED, Delivery, DeliveryState, ResultObject
from willis_service.domain.destinations import (
    DicomTarget,
    FolderTarget,
    ResultDestination,
    SegType,
    StowTarget,
)
from willis_service.domain.job import Job, JobState, ResultKind

_LOG = structlog.get_logger(__name__)
_RETRACTABLE = (JobState.SUCCEEDED, JobState.REJECTED, JobState.SUPERSEDED)


@dataclass(frozen=True)
class LedgerDesk:
    """The ``DeliveryDesk`` of an installation."""

    book: DeliveryBook
    jobs: JobBook
    packer: Packer
    write_retraction: RetractionWriter
    configured: Mapping[str, ResultDestination]
    clock: Clock

    def deliveries(self, query: DeliveryQuery) -> Sequence[Delivery]:
        """The latest deliveries that fit, newest first."""
        if query.job_id is not None:
            self.jobs.get(query.job_id)
        return self.book.find(query)

    def delivery(self, delivery_id: str) -> Delivery:
        """One delivery. Raises UnknownDelivery."""
        return self.book.get(delivery_id)

    def retry(self, delivery_id: str, again: bool = False) -> Delivery:
        """Send now. Raises DeliveryConflict where it is on its way, confirmed or retracted."""
        delivery = self.book.get(delivery_id)
        if delivery.state in CONFIRMED and not again:
            raise DeliveryConflict(
                f"The delivery is {delivery.state}: the destination has it. "
                "Ask for it again if it was lost there."
            )
        if self._is_retracted(delivery):
            raise DeliveryConflict("The result was retracted: it is not sent any more.")
        if not self.book.send_again(delivery_id, self.clock()):
            raise DeliveryConflict("The delivery is being sent now.")
        _LOG.info("delivery_retried", delivery_id=delivery_id, again=again)
        return self.book.get(delivery_id)

    def drop(self, delivery_id: str) -> Delivery:
        """Don't send any more. Raises DeliveryConflict where that is too late."""
        delivery = self.book.get(delivery_id)
        if delivery.state is not DeliveryState.WITHDRAWN and not self.book.drop(delivery_id):
            raise DeliveryConflict(f"The delivery is {delivery.state}: it can't be dropped.")
        _LOG.warning("delivery_dropped", delivery_id=delivery_id)
        return self.book.get(delivery_id)

    def retract(self, job_id: str, reason: str) -> Job:
        """Withdraw a job's result from everybody who got it. Doing it again changes nothing."""
        job = self.jobs.get(job_id)
        if job.retracted_at is not None:
            return job
        if job.state not in _RETRACTABLE or not job.results:
            purged = " Its files were purged." if job.results_purged_at else ""
            raise NotReady(f"The job is {job.state}: it has no result to retract.{purged}")
        now = self.clock()
        if ResultKind.SR in job.results:
            self.write_retraction(job, reason, now)
        retracted = self.book.retract(job_id, reason, now, self._notices(job))
        _LOG.warning("job_retracted", job_id=job_id)
        return retracted

    def destinations(self) -> Sequence[DestinationStatus]:
        """Every destination that is configured or still owed something."""
        counts: dict[str, dict[DeliveryState, int]] = defaultdict(dict)
        for (name, state), count in self.book.counts().items():
            counts[name][state] = count
        owed = [name for name, states in counts.items() if not OWED.isdisjoint(states)]
        names = [*self.configured, *(n for n in sorted(owed) if n not in self.configured)]
        since = self.book.owed_since()
        return [
            replace(
                _status(name, self.configured.get(name), counts[name]), owed_since=since.get(name)
            )
            for name in names
        ]

    def _is_retracted(self, delivery: Delivery) -> bool:
        if delivery.kind is ResultKind.RETRACTION:
            return False
        return self.jobs.get(delivery.job_id).retracted_at is not None

    def _notices(self, job: Job) -> Mapping[str, ResultObject]:
        """What each destination that is in question gets."""
        known = self.book.find(DeliveryQuery(job_id=job.id, limit=1000))
        names = {one.destination for one in known} | set(self.configured)
        seg_types = {n: d.seg for n, d in self.configured.items()}
        return {
            name: self.packer.describe(
                job, ResultKind.RETRACTION, seg_types.get(name, SegType.BINARY)
            )
            for name in names
        }


def _status(
    name: str, destination: ResultDestination | None, counts: Mapping[DeliveryState, int]
) -> DestinationStatus:
    if destination is None:
        return DestinationStatus(name, "unknown", "", "", False, False, counts)
    kind, address = _kind_and_address(destination)
    commitment = destination.wants_commitment
    return DestinationStatus(name, kind, address, destination.seg, commitment, True, counts)


def _kind_and_address(destination: ResultDestination) -> tuple[str, str]:
    target = destination.target
    if isinstance(target, DicomTarget):
        return "dicom", str(target.peer)
    if isinstance(target, FolderTarget):
        return "folder", str(target.path)
    kind = "stow" if isinstance(target, StowTarget) else "webhook"
    # A query may carry a token.
    return kind, urlsplit(target.url)._replace(query="", fragment="").geturl()
