"""Jobs in the database: every change is one guarded UPDATE, and who comes second does nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, insert, or_, select, update

from willis_service.adapters.storage.database import Database
from willis_service.adapters.storage.job_rows import (
    JOB_FIELDS,
    ending_values,
    find_job,
    get_job,
    holds,
    job_of,
    row_of,
    take_turns,
)
from willis_service.adapters.storage.revival import revive
from willis_service.adapters.storage.superseding import (
    is_replaced,
    replace_earlier,
    retire_earlier,
)
from willis_service.adapters.storage.tables import JOB
from willis_service.domain.job import (
    Ending,
    Job,
    JobOrder,
    JobState,
    Lease,
    Priority,
    Run,
    Sighting,
)

_LONGEST_PAUSE = timedelta(minutes=10)
_URGENT_FIRST = case((JOB.c.priority == Priority.URGENT, 0), else_=1)
_NEXT_FIRST = (_URGENT_FIRST, JOB.c.asked_at, JOB.c.id)


@dataclass(frozen=True)
class SqlJobs:
    """The book of jobs; serves the ports JobBook, JobRuns, JobCare and RunSigns."""

    database: Database

    def order(self, order: JobOrder, now: datetime) -> tuple[Job, bool]:
        """The job of this order and whether it is new, or was made by the same order before."""
        with self.database.write() as connection:
            take_turns(connection, order.study_instance_uid)
            found = find_job(connection, order.job_id)
            if found is not None:
                if revive(connection, found, order, now):
                    return get_job(connection, order.job_id), True
                return _hurried(connection, found, order.priority), False
            succession = replace_earlier(
                connection, order.job_id, order.study_instance_uid, order.pipeline, now
            )
            connection.execute(insert(JOB).values(row_of(order, now) | succession))
            return get_job(connection, order.job_id), True

    def reopen_failed(self, job_id: str, now: datetime) -> Job:
        """Queue a failed job again with its attempts unspent; any other job is left alone."""
        fresh = {
            "state": JobState.QUEUED,
            "attempts": 0,
            "asked_at": now,
            "enqueued_at": now,
            "again_at": None,
            "finished_at": None,
            "error_code": None,
            "error_message": None,
            "notice_tries": 0,
        }
        with self.database.write() as connection:
            job = get_job(connection, job_id)
            take_turns(connection, job.study_instance_uid)
            if not is_replaced(connection, job_id):
                failed = and_(JOB.c.id == job_id, JOB.c.state == JobState.FAILED)
                connection.execute(update(JOB).where(failed).values(fresh))
            return get_job(connection, job_id)

    def get(self, job_id: str) -> Job:
        """The job as it stands. Raises UnknownJob."""
        with self.database.read() as connection:
            return get_job(connection, job_id)

    def recent(self, limit: int, state: JobState | None = None) -> Sequence[Job]:
        """The latest jobs, newest first; only those in a state where one is named."""
        query = select(*JOB_FIELDS).order_by(JOB.c.created_at.desc(), JOB.c.id).limit(limit)
        if state is not None:
            query = query.where(JOB.c.state == state)
        with self.database.read() as connection:
            return [job_of(row) for row in connection.execute(query)]

    def latest_of(self, study_instance_uid: str, pipeline: str) -> Job | None:
        """The job that stands for a study in a pipeline."""
        these = and_(JOB.c.study_instance_uid == study_instance_uid, JOB.c.pipeline == pipeline)
        stands = and_(these, JOB.c.state != JobState.SUPERSEDED)
        query = select(*JOB_FIELDS).where(stands).order_by(JOB.c.created_at.desc()).limit(1)
        with self.database.read() as connection:
            row = connection.execute(query).first()
            return None if row is None else job_of(row)

    def edition_of(self, job_id: str) -> str | None:
        """Which folder of the job's results counts; None where there is none."""
        query = select(JOB.c.edition).where(JOB.c.id == job_id)
        with self.database.read() as connection:
            return connection.execute(query).scalar()

    def claim(self, job_id: str, now: datetime) -> Run | None:
        """Start the next run of this job; None where it is final or running already."""
        with self.database.write() as connection:
            return _started(connection, job_id, now)

    def claim_next(self, now: datetime) -> Run | None:
        """Start the next run of the most urgent job that waits longest; None where none waits."""
        # PostgreSQL's workers pass over what another one claims at this moment.
        query = select(JOB.c.id).where(_may_be_claimed(now)).order_by(*_NEXT_FIRST).limit(1)
        with self.database.write() as connection:
            job_id = connection.execute(query.with_for_update(skip_locked=True)).scalar()
            return None if job_id is None else _started(connection, job_id, now)

    def note_step(self, run: Run, step: str, now: datetime) -> bool:
        """Store the name of the step that starts; False where this run was superseded."""
        return self._change(holds(run.lease), step=step, heartbeat_at=now)

    def beat(self, run: Run, now: datetime, ran_s: float) -> None:
        """Store a sign of life of the run, and how long it has gone on."""
        self._change(holds(run.lease), heartbeat_at=now, ran_s=ran_s)

    def finish(self, run: Run, ending: Ending, now: datetime) -> bool:
        """End the job; False where this run was superseded."""
        job, values = run.job, ending_values(ending, now, run.edition.name)
        with self.database.write() as connection:
            take_turns(connection, job.study_instance_uid)
            if not _changed(connection, holds(run.lease), values):
                return False
            if ending.state is not JobState.FAILED:
                retire_earlier(connection, job.id, job.study_instance_uid, job.pipeline)
            return True

    def release(
        self, lease: Lease, now: datetime, again_at: datetime | None = None, is_spent: bool = True
    ) -> bool:
        """Put the job back into the queue; False where this run is not the latest."""
        changes = {
            "state": JobState.QUEUED,
            "step": None,
            "enqueued_at": now,
            "again_at": again_at,
            "attempts": JOB.c.attempts if is_spent else JOB.c.attempts - 1,
        }
        return self._change(holds(lease), **changes)

    def give_up(self, run: Sighting, ending: Ending, now: datetime) -> bool:
        """End a job whose worker is gone; False where it moved on."""
        unchanged = JOB.c.heartbeat_at == run.heartbeat_at
        return self._change(and_(holds(run.lease), unchanged), **ending_values(ending, now))

    def running(self) -> Sequence[Sighting]:
        """Running jobs."""
        query = select(JOB.c.id, JOB.c.token, JOB.c.attempts, JOB.c.heartbeat_at, JOB.c.ran_s)
        with self.database.read() as connection:
            rows = connection.execute(query.where(JOB.c.state == JobState.RUNNING))
            return [Sighting(*row) for row in rows]

    def waiting_since(self, age: timedelta, now: datetime) -> Sequence[str]:
        """Jobs that a worker may claim and whose hint is at least this old, oldest first."""
        # A hint from the future was sent before the clock was set back.
        hint = JOB.c.enqueued_at
        is_old = or_(hint.is_(None), hint <= now - age, hint > now)
        query = select(JOB.c.id).where(_may_be_claimed(now), is_old).order_by(*_NEXT_FIRST)
        with self.database.read() as connection:
            return list(connection.execute(query).scalars())

    def note_enqueued(self, job_id: str, now: datetime) -> None:
        """Remember that a message was sent for the job."""
        self._change(JOB.c.id == job_id, enqueued_at=now)

    def _change(self, where: ColumnElement[bool], **values: Any) -> bool:
        with self.database.write() as connection:
            return _changed(connection, where, values)


def _changed(connection: Connection, where: ColumnElement[bool], values: dict[str, Any]) -> bool:
    return connection.execute(update(JOB).where(where).values(values)).rowcount > 0


def _may_be_claimed(now: datetime) -> ColumnElement[bool]:
    # Nobody is told to wait longer than the longest pause: the clock was set back, and it is over.
    again = JOB.c.again_at
    pause_is_over = or_(again.is_(None), again <= now, again > now + _LONGEST_PAUSE)
    return and_(JOB.c.state == JobState.QUEUED, pause_is_over)


def _started(connection: Connection, job_id: str, now: datetime) -> Run | None:
    queued = and_(JOB.c.id == job_id, JOB.c.state == JobState.QUEUED)
    changes = {
        "state": JobState.RUNNING,
        "attempts": JOB.c.attempts + 1,
        "token": JOB.c.token + 1,
        "started_at": now,
        "heartbeat_at": now,
        "ran_s": 0.0,
        "step": None,
    }
    if not _changed(connection, queued, changes):
        return None
    given = select(JOB.c.inputs, JOB.c.roles).where(JOB.c.id == job_id)
    inputs, roles = connection.execute(given).one()
    return Run(get_job(connection, job_id), tuple(inputs), tuple(roles or ()))


def _hurried(connection: Connection, job: Job, priority: Priority) -> Job:
    """The job, in the urgent lane from now on if it was asked for urgently this time."""
    if priority is not Priority.URGENT or job.state.is_final:
        return job
    connection.execute(update(JOB).where(JOB.c.id == job.id).values(priority=priority))
    return get_job(connection, job.id)
