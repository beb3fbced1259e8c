"""What a person asks of the queue: may more come in, what is stuck, try this again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from willis_models.errors import NoResultInTime, NotFailed, QueueTooLong, StudyNotRouted
from willis_service.application.ports import Clock, JobBook, NoticeBook, QueueReport, StudyWatch
from willis_service.application.routing import Dispatch
from willis_service.domain.alarm import Alarm, AlarmKind
from willis_service.domain.job import ROUTING, Job, JobState, Priority, QueueState
from willis_service.domain.study import OpenStudy

_SHORTEST_WAIT_S, _LONGEST_WAIT_S = 5, 600


@dataclass(frozen=True)
class Admission:
    """Refuses requests while what waits would take longer than the objective.

    An urgent request overtakes the routine lane, so it is held against the urgent lane alone, and
    that against a larger allowance. Images that a scanner sends are never refused for this: they
    are kept, and wait.
    """

    report: QueueReport
    objective_s: float
    urgent_allowance: float
    worker_lost_after: timedelta
    clock: Clock

    def __call__(self, priority: Priority) -> None:
        """Raises QueueTooLong."""
        is_urgent = priority is Priority.URGENT
        lanes = (Priority.URGENT,) if is_urgent else tuple(Priority)
        limit_s = self.objective_s * (self.urgent_allowance if is_urgent else 1.0)
        backlog_s = self.state().backlog_s(lanes)
        if backlog_s <= limit_s:
            return
        wait_s = math.ceil(min(max(backlog_s - limit_s, _SHORTEST_WAIT_S), _LONGEST_WAIT_S))
        raise QueueTooLong(
            f"What waits takes about {backlog_s / 60:.0f} minutes, more than the objective of "
            f"{limit_s / 60:.0f}: ask again in {wait_s} s, or urgently.",
            wait_s,
        )

    def state(self) -> QueueState:
        """The queue now."""
        return self.report.state(self.clock(), self.worker_lost_after)

    def alarm(self) -> Alarm | None:
        """Stands while what waits takes longer than the objective."""
        state = self.state()
        backlog_s = state.backlog_s(tuple(Priority))
        if backlog_s <= self.objective_s:
            return None
        oldest = max(lane.oldest_s for lane in state.lanes.values())
        return Alarm(
            kind=AlarmKind.BACKLOG,
            code=QueueTooLong.code,
            message=f"What waits takes about {backlog_s / 60:.0f} minutes: add workers.",
            study_instance_uid="",
            job_id=None,
            since=self.clock() - timedelta(seconds=oldest),
        )


@dataclass(frozen=True)
class QueueDesk:
    """The ``QueueDesk`` of an installation."""

    admit: Admission
    book: JobBook
    notices: NoticeBook
    studies: StudyWatch
    report: QueueReport
    dispatch: Dispatch
    job_limit: timedelta
    study_limit: timedelta
    clock: Clock

    def retry(self, job_id: str) -> Job:
        """Queue a failed job again, a parked one too. Raises UnknownJob or NotFailed."""
        job = self.book.get(job_id)
        if job.pipeline == ROUTING:
            raise NotFailed("This job stands for a study that is not routed: that goes on.")
        if job.state is not JobState.FAILED:
            raise NotFailed(f"The job is {job.state}: only a failed one can be tried again.")
        reopened = self.book.reopen_failed(job_id, self.clock())
        if reopened.state is JobState.FAILED:
            raise NotFailed("A later job stands for this study: images came after this one.")
        self.dispatch(job_id)
        return reopened

    def alarms(self, limit: int) -> Sequence[Alarm]:
        """What has no result and should have one, newest first."""
        now = self.clock()
        jobs = self.notices.alarms(now - self.job_limit, limit)
        known = {job.study_instance_uid for job in jobs if job.pipeline == ROUTING}
        late = [s for s in self.studies.open_studies() if now - s.open_since >= self.study_limit]
        unrouted = [_of_study(s) for s in late if s.study_instance_uid not in known]
        backlog = [alarm for alarm in (self.admit.alarm(),) if alarm is not None]
        return [*backlog, *unrouted, *(_of_job(job) for job in jobs)][:limit]

    def state(self) -> QueueState:
        """The queue now."""
        return self.admit.state()

    def ended_since(self, moment: datetime, limit: int) -> Sequence[Job]:
        """Jobs that ended at or after this time, in the order of their ending."""
        return self.report.ended_since(moment, limit)


def _of_job(job: Job) -> Alarm:
    since = job.asked_at or job.created_at
    if job.state is JobState.FAILED:
        kind = AlarmKind.NOT_ROUTED if job.pipeline == ROUTING else AlarmKind.FAILED
        code, message = job.error_code or "", job.error_message or ""
        return Alarm(kind, code, message, job.study_instance_uid, job.id, since)
    message = f"The job is {job.state} and has no result yet."
    code = NoResultInTime.code
    return Alarm(AlarmKind.NO_RESULT, code, message, job.study_instance_uid, job.id, since)


def _of_study(study: OpenStudy) -> Alarm:
    return Alarm(
        kind=AlarmKind.NOT_ROUTED,
        code=StudyNotRouted.code,
        message="The study was received and no analysis is ordered for it yet.",
        study_instance_uid=study.study_instance_uid,
        job_id=None,
        since=study.open_since,
    )
