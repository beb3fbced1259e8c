"""Jobs in the database: every change is one guarded UPDATE, and who comes second does nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, insert, select, update
from sqlalchemy.exc import IntegrityError

from willis_models.errors import UnknownJob
from willis_service.adapters.storage.database import Database
from willis_service.adapters.storage.tables import JOB
from willis_service.domain.job import Ending, Job, JobOrder, JobState, ResultKind, Run, Sighting

_FIELDS = [JOB.c[field.name] for field in fields(Job)]
_FRESH: dict[str, Any] = {
    "state": JobState.QUEUED,
    "attempts": 0,
    "step": None,
    "error_code": None,
    "error_message": None,
    "finished_at": None,
    "results": [],
}


@dataclass(frozen=True)
class SqlJobs:
    """The book of jobs; serves the ports JobBook, JobRuns and JobCare."""

    database: Database

    def order(self, order: JobOrder, now: datetime) -> tuple[Job, bool]:
        """The job of this order and whether it is new, or was made by the same order before."""
        try:
            with self.database.write() as connection:
                connection.execute(insert(JOB).values(**_row_of(order, now)))
                return _get(connection, order.job_id), True
        except IntegrityError:
            return self.get(order.job_id), False

    def reopen_failed(self, job_id: str, now: datetime) -> Job:
        """Queue a failed job again with its attempts unspent; any other job is left alone."""
        failed = and_(JOB.c.id == job_id, JOB.c.state == JobState.FAILED)
        with self.database.write() as connection:
            connection.execute(update(JOB).where(failed).values({**_FRESH, "enqueued_at": now}))
            return _get(connection, job_id)

    def get(self, job_id: str) -> Job:
        """The job as it stands. Raises UnknownJob."""
        with self.database.read() as connection:
            return _get(connection, job_id)

    def recent(self, limit: int) -> Sequence[Job]:
        """The latest jobs, newest first."""
        query = select(*_FIELDS).order_by(JOB.c.created_at.desc(), JOB.c.id).limit(limit)
        with self.database.read() as connection:
            return [_job(row) for row in connection.execute(query)]

    def claim(self, job_id: str, now: datetime) -> Run | None:
        """Start the next attempt; None where the job is final or running already."""
        queued = and_(JOB.c.id == job_id, JOB.c.state == JobState.QUEUED)
        changes = {
            "state": JobState.RUNNING,
            "attempts": JOB.c.attempts + 1,
            "started_at": now,
            "heartbeat_at": now,
            "step": None,
        }
        with self.database.write() as connection:
            if connection.execute(update(JOB).where(queued).values(changes)).rowcount == 0:
                return None
            inputs = connection.execute(select(JOB.c.inputs).where(JOB.c.id == job_id)).scalar_one()
            return Run(_get(connection, job_id), tuple(inputs))

    def note_step(self, run: Run, step: str, now: datetime) -> None:
        """Store the name of the step that starts."""
        self._change(_this_attempt(run.job.id, run.attempt), step=step, heartbeat_at=now)

    def beat(self, run: Run, now: datetime) -> None:
        """Store a sign of life of the run."""
        self._change(_this_attempt(run.job.id, run.attempt), heartbeat_at=now)

    def finish(self, run: Run, ending: Ending, now: datetime) -> bool:
        """End the job; False where this run was superseded."""
        return self._change(_this_attempt(run.job.id, run.attempt), **_values(ending, now))

    def release(self, job_id: str, attempt: int, now: datetime) -> bool:
        """Put the job back into the queue; False where this attempt is not the latest."""
        changes = {"state": JobState.QUEUED, "step": None, "enqueued_at": now}
        return self._change(_this_attempt(job_id, attempt), **changes)

    def give_up(self, run: Sighting, ending: Ending, now: datetime) -> bool:
        """End a job whose worker is gone; False where it moved on."""
        unchanged = JOB.c.heartbeat_at == run.heartbeat_at
        this = and_(_this_attempt(run.job_id, run.attempt), unchanged)
        return self._change(this, **_values(ending, now))

    def running(self) -> Sequence[Sighting]:
        """Running jobs."""
        query = select(JOB.c.id, JOB.c.attempts, JOB.c.started_at, JOB.c.heartbeat_at)
        with self.database.read() as connection:
            rows = connection.execute(query.where(JOB.c.state == JobState.RUNNING))
            return [Sighting(*row) for row in rows]

    def waiting_since(self, before: datetime) -> Sequence[str]:
        """Queued jobs whose message was sent before this time, oldest first."""
        overdue = and_(
            JOB.c.state == JobState.QUEUED,
            (JOB.c.enqueued_at < before) | JOB.c.enqueued_at.is_(None),
        )
        with self.database.read() as connection:
            rows = connection.execute(select(JOB.c.id).where(overdue).order_by(JOB.c.created_at))
            return list(rows.scalars())

    def note_enqueued(self, job_id: str, now: datetime) -> None:
        """Remember that a message was sent for the job."""
        self._change(JOB.c.id == job_id, enqueued_at=now)

    def _change(self, where: ColumnElement[bool], **values: Any) -> bool:
        with self.database.write() as connection:
            return connection.execute(update(JOB).where(where).values(values)).rowcount > 0


def _this_attempt(job_id: str, attempt: int) -> ColumnElement[bool]:
    return and_(JOB.c.id == job_id, JOB.c.attempts == attempt, JOB.c.state == JobState.RUNNING)


def _get(connection: Connection, job_id: str) -> Job:
    row = connection.execute(select(*_FIELDS).where(JOB.c.id == job_id)).first()
    if row is None:
        raise UnknownJob("There is no job of this id.")
    return _job(row)


def _job(row: Row[Any]) -> Job:
    values = dict(row._mapping)
    values["state"] = JobState(values["state"])
    values["results"] = tuple(ResultKind(kind) for kind in values["results"])
    return Job(**values)


def _row_of(order: JobOrder, now: datetime) -> dict[str, Any]:
    return {
        **_FRESH,
        "id": order.job_id,
        "study_instance_uid": order.study_instance_uid,
        "pipeline": order.pipeline,
        "bundle_version": order.bundle.version,
        "bundle_sha256": order.bundle.sha256,
        "input_fingerprint": order.input_fingerprint,
        "inputs": list(order.inputs),
        "created_at": now,
    }


def _values(ending: Ending, now: datetime) -> dict[str, Any]:
    return {
        "state": ending.state,
        "results": list(ending.results),
        "error_code": ending.error_code,
        "error_message": ending.error_message,
        "finished_at": now,
        "step": None,
    }
