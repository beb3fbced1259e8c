"""Numbers about the queue, for metrics and for admission."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from sqlalchemy import Connection, func, select

from willis_service.adapters.storage.database import Database
from willis_service.adapters.storage.job_rows import ENDED_STATES, JOB_FIELDS, job_of
from willis_service.adapters.storage.tables import JOB, WORKER
from willis_service.adapters.storage.workers import present
from willis_service.domain.job import Job, JobState, Lane, Priority, QueueState

_LATEST_RUNS = 50


@dataclass(frozen=True)
class SqlQueueReport:
    """Serves the port QueueReport."""

    database: Database

    def state(self, now: datetime, worker_lost_after: timedelta) -> QueueState:
        """The queue now."""
        with self.database.read() as connection:
            return QueueState(
                lanes=_lanes(connection, now),
                states=_states(connection),
                longest_silence_s=_longest_silence_s(connection, now),
                usual_run_s=_usual_run_s(connection),
                workers=connection.execute(
                    select(func.count()).select_from(WORKER).where(present(now, worker_lost_after))
                ).scalar_one(),
            )

    def ended_since(self, moment: datetime, limit: int) -> Sequence[Job]:
        """Jobs that ended at or after this time, in the order of their ending."""
        ended = JOB.c.state.in_((*ENDED_STATES, JobState.SUPERSEDED))
        query = select(*JOB_FIELDS).where(ended, JOB.c.finished_at >= moment)
        with self.database.read() as connection:
            rows = connection.execute(query.order_by(JOB.c.finished_at, JOB.c.id).limit(limit))
            return [job_of(row) for row in rows]


def _lanes(connection: Connection, now: datetime) -> dict[Priority, Lane]:
    query = select(JOB.c.priority, func.count(), func.min(JOB.c.asked_at))
    waiting = query.where(JOB.c.state == JobState.QUEUED).group_by(JOB.c.priority)
    lanes = {priority: Lane() for priority in Priority}
    for priority, count, oldest in connection.execute(waiting):
        lanes[Priority(priority)] = Lane(count, _age_s(oldest, now))
    return lanes


def _states(connection: Connection) -> dict[JobState, int]:
    counts = connection.execute(select(JOB.c.state, func.count()).group_by(JOB.c.state))
    return {JobState(state): count for state, count in counts}


def _longest_silence_s(connection: Connection, now: datetime) -> float:
    query = select(func.min(JOB.c.heartbeat_at)).where(JOB.c.state == JobState.RUNNING)
    return _age_s(connection.execute(query).scalar(), now)


def _usual_run_s(connection: Connection) -> float | None:
    query = select(JOB.c.started_at, JOB.c.finished_at).where(
        JOB.c.state.in_((JobState.SUCCEEDED, JobState.REJECTED)), JOB.c.started_at.is_not(None)
    )
    latest = connection.execute(query.order_by(JOB.c.finished_at.desc()).limit(_LATEST_RUNS))
    runs_s = [(ended - started).total_seconds() for started, ended in latest]
    return max(0.0, median(runs_s)) if runs_s else None


def _age_s(moment: datetime | None, now: datetime) -> float:
    return 0.0 if moment is None else max(0.0, (now - moment).total_seconds())
