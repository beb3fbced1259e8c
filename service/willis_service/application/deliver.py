"""Send a job's objects to the configured destinations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from willis_models.errors import BrokerUnavailable
from willis_service.application.ports import JobBook, ResultSender, ResultShelf, WorkQueue
from willis_service.domain.job import Job, ResultKind
from willis_service.domain.peers import Destination

_LOG = structlog.get_logger(__name__)
_SENT_KINDS = (ResultKind.SEG, ResultKind.SR)


@dataclass(frozen=True)
class Delivery:
    """Sends SEG and SR of one job to one destination; a rejected study has an SR only."""

    book: JobBook
    shelf: ResultShelf
    send: ResultSender

    def __call__(self, job_id: str, destination: Destination) -> None:
        """Send now. Raises DestinationUnreachable (try later) or DestinationRefused (don't)."""
        job = self.book.get(job_id)
        files = [self.shelf.path(job_id, kind) for kind in _SENT_KINDS if kind in job.results]
        if files:
            self.send(files, destination)
            _LOG.info("results_sent", job_id=job_id, destination=str(destination))


@dataclass(frozen=True)
class PlanDelivery:
    """Asks for one delivery for each destination when a job has ended."""

    queue: WorkQueue
    destinations: Sequence[Destination]

    def __call__(self, job: Job) -> None:
        """Queue the deliveries. They are no part of the analysis: failing here fails no job."""
        for destination in self.destinations if job.results else ():
            try:
                self.queue.put_delivery(job.id, destination)
            except BrokerUnavailable:
                _LOG.error("delivery_not_queued", job_id=job.id, destination=str(destination))
