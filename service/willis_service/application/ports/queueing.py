"""Jobs, runs of them, the broker, and signs of life."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from willis_service.domain.job import (
    Edition,
    Ending,
    Job,
    JobOrder,
    JobState,
    Lease,
    QueueState,
    ResultKind,
    Run,
    Sighting,
)


class JobBook(Protocol):
    """The jobs, as the database knows them."""

    def order(self, order: JobOrder, now: datetime) -> tuple[Job, bool]:
        """The job of this order and whether it is new, or was made by the same order before.

        A new job supersedes those of the same study and pipeline: one that has not ended, at once;
        one that has, when the new one ends with a result.
        """
        ...

    def reopen_failed(self, job_id: str, now: datetime) -> Job:
        """Queue a failed job again with its attempts unspent; any other job is left alone.

        So is one that a later job of the same study and pipeline stands for.
        """
        ...

    def get(self, job_id: str) -> Job:
        """The job as it stands. Raises UnknownJob."""
        ...

    def recent(self, limit: int, state: JobState | None = None) -> Sequence[Job]:
        """The latest jobs, newest first; only those in a state where one is named."""
        ...

    def latest_of(self, study_instance_uid: str, pipeline: str) -> Job | None:
        """The job that stands for a study in a pipeline."""
        ...


class JobRuns(Protocol):
    """Runs of jobs. A run that is not the job's latest changes nothing."""

    def claim(self, job_id: str, now: datetime) -> Run | None:
        """Start the next run of this job; None where it is final or running already."""
        ...

    def claim_next(self, now: datetime) -> Run | None:
        """Start the next run of the most urgent job that waits longest; None where none waits."""
        ...

    def note_step(self, run: Run, step: str, now: datetime) -> bool:
        """Store the name of the step that starts; False where this run was superseded."""
        ...

    def finish(self, run: Run, ending: Ending, now: datetime) -> bool:
        """End the job; False where this run was superseded.

        With a result, the jobs that it amends become superseded in the same moment.
        """
        ...

    def release(
        self, lease: Lease, now: datetime, again_at: datetime | None = None, is_spent: bool = True
    ) -> bool:
        """Put the job back into the queue; False where this run is not the latest.

        ``is_spent`` False gives the attempt back: it ended through no fault of the study.
        """
        ...


class JobCare(Protocol):
    """What the reconciler needs."""

    def running(self) -> Sequence[Sighting]:
        """Running jobs."""
        ...

    def waiting_since(self, age: timedelta, now: datetime) -> Sequence[str]:
        """Jobs that a worker may claim and whose hint is at least this old, oldest first."""
        ...

    def note_enqueued(self, job_id: str, now: datetime) -> None:
        """Remember that a message was sent for the job."""
        ...

    def release(
        self, lease: Lease, now: datetime, again_at: datetime | None = None, is_spent: bool = True
    ) -> bool:
        """Put the job back into the queue; False where this run is not the latest."""
        ...

    def give_up(self, run: Sighting, ending: Ending, now: datetime) -> bool:
        """End a job whose worker is gone; False where it moved on."""
        ...


class NoticeBook(Protocol):
    """Jobs without a result, and the notices that say so."""

    def without_result(self) -> Sequence[Job]:
        """Jobs that have not ended, and failed ones without a notice of their failure."""
        ...

    def inputs(self, job_id: str) -> tuple[str, ...]:
        """The job's files, relative to the data folder."""
        ...

    def note_try(self, job_id: str) -> int:
        """Count a try to write a notice, before it is made; how many there were."""
        ...

    def take_back_try(self, job_id: str) -> None:
        """The try ended in good order, without a notice."""
        ...

    def record_failure(self, order: JobOrder, ending: Ending, now: datetime) -> Job:
        """A job that failed before it could be run; the same one for the same order."""
        ...

    def publish_notice(
        self, job: Job, edition: Edition, results: Sequence[ResultKind], code: str, now: datetime
    ) -> bool:
        """Let a notice stand for the result; False where the job moved on since it was read."""
        ...

    def alarms(self, before: datetime, limit: int) -> Sequence[Job]:
        """Failed jobs, and those asked for before this time that have not ended; newest first."""
        ...


class QueueReport(Protocol):
    """Numbers about the queue."""

    def state(self, now: datetime, worker_lost_after: timedelta) -> QueueState:
        """The queue now."""
        ...

    def ended_since(self, moment: datetime, limit: int) -> Sequence[Job]:
        """Jobs that ended at or after this time, in the order of their ending."""
        ...


class WorkQueue(Protocol):
    """The broker: a hint that there is work. Raises BrokerUnavailable."""

    def put_analysis(self, job_id: str) -> None:
        """Tell the workers that this job waits; who hears it takes the most urgent one."""
        ...

    def depth(self) -> int:
        """How many messages wait for a worker."""
        ...


class LifeSigns(Protocol):
    """Where a worker shows that it lives."""

    def sign_in(self, worker_id: str, models: Sequence[str], now: datetime) -> None:
        """A worker is ready: its models are loaded and replayed."""
        ...

    def beat(self, worker_id: str, models: Sequence[str], now: datetime) -> None:
        """Store a sign of life of the worker; one that was struck off is there again."""
        ...

    def sign_out(self, worker_id: str) -> None:
        """The worker ends in good order."""
        ...


class RunSigns(Protocol):
    """Where a run shows that it lives."""

    def beat(self, run: Run, now: datetime, ran_s: float) -> None:
        """Store a sign of life of the run, and how long it has gone on."""
        ...


class Probe(Protocol):
    """One part of the installation that can be well or not."""

    def __call__(self) -> str:
        """ "ok", or what is wrong in a few words."""
        ...
