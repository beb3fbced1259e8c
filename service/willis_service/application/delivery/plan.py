"""Find results that nobody has planned to send yet, and enter them in the ledger.

The ledger follows the jobs: whatever dies between the end of a job and here, the next look finds
the job again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import structlog

from willis_models.errors import WillisError
from willis_service.application.ports import Clock
from willis_service.application.ports.delivering import DeliveryPlan, Packer
from willis_service.domain.delivery import NewDelivery
from willis_service.domain.destinations import ResultDestination
from willis_service.domain.job import Job

_LOG = structlog.get_logger(__name__)
_JOBS_A_ROUND = 100


@dataclass(frozen=True)
class PlanDeliveries:
    """One delivery for each object and each destination that wants it."""

    plan: DeliveryPlan
    packer: Packer
    destinations: Sequence[ResultDestination]
    clock: Clock
    _unreadable: set[str] = field(default_factory=set)

    def __call__(self) -> int:
        """Plan for the jobs that ended since; how many."""
        if withdrawn := self.plan.withdraw_outdated():
            _LOG.info("deliveries_withdrawn", count=withdrawn)
        jobs = self.plan.unplanned(_JOBS_A_ROUND + len(self._unreadable))
        for job in jobs:
            self._plan(job)
        return len(jobs)

    def _plan(self, job: Job) -> None:
        try:
            deliveries = list(self._deliveries(job))
        except (WillisError, OSError) as error:
            # The job stays unplanned, and is met again in each round: said once.
            if job.id not in self._unreadable:
                self._unreadable.add(job.id)
                _LOG.error("delivery_not_planned", job_id=job.id, error=type(error).__name__)
            return
        self._unreadable.discard(job.id)
        if self.plan.plan(job, deliveries, self.clock()) and deliveries:
            _LOG.info("deliveries_planned", job_id=job.id, count=len(deliveries))

    def _deliveries(self, job: Job) -> Iterator[NewDelivery]:
        senders = self.plan.senders_of(job.study_instance_uid)
        for destination in self.destinations:
            if not destination.wanted.admits(job, senders):
                continue
            for kind in destination.kinds_of(job):
                described = self.packer.describe(job, kind, destination.seg)
                yield NewDelivery(job.id, destination.name, described, job.priority)
