"""Jobs that have no result, and the notices that say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, insert, not_, or_, select, update

from willis_service.adapters.storage.database import Database
from willis_service.adapters.storage.job_rows import (
    JOB_FIELDS,
    OPEN_STATES,
    ending_values,
    find_job,
    get_job,
    job_of,
    row_of,
    take_turns,
)
from willis_service.adapters.storage.superseding import replace_earlier, retire_earlier
from willis_service.adapters.storage.tables import JOB
from willis_service.domain.job import Edition, Ending, Job, JobOrder, JobState, ResultKind

_WRITING_STEPS = ("write", "publish")


@dataclass(frozen=True)
class SqlNotices:
    """Serves the port NoticeBook."""

    database: Database

    def without_result(self) -> Sequence[Job]:
        """Jobs that have not ended, and failed ones without a notice of their failure."""
        notice, error = JOB.c.notice_code, JOB.c.error_code
        unsaid = and_(JOB.c.state == JobState.FAILED, or_(notice.is_(None), notice != error))
        query = select(*JOB_FIELDS).where(or_(unsaid, JOB.c.state.in_(OPEN_STATES)))
        with self.database.read() as connection:
            return [job_of(row) for row in connection.execute(query.order_by(JOB.c.asked_at))]

    def inputs(self, job_id: str) -> tuple[str, ...]:
        """The job's files, relative to the data folder."""
        with self.database.read() as connection:
            query = select(JOB.c.inputs).where(JOB.c.id == job_id)
            return tuple(connection.execute(query).scalar_one())

    def note_try(self, job_id: str) -> int:
        """Count a try to write a notice, before it is made; how many there were."""
        return self._count_try(job_id, 1)

    def take_back_try(self, job_id: str) -> None:
        """The try ended in good order, without a notice."""
        self._count_try(job_id, -1)

    def record_failure(self, order: JobOrder, ending: Ending, now: datetime) -> Job:
        """A job that failed before it could be run; the same one for the same order."""
        study = order.study_instance_uid
        with self.database.write() as connection:
            take_turns(connection, study)
            found = find_job(connection, order.job_id)
            if found is not None:
                return found
            succession = replace_earlier(connection, order.job_id, study, order.pipeline, now)
            row = row_of(order, now) | ending_values(ending, now) | succession
            connection.execute(insert(JOB).values(row))
            retire_earlier(connection, order.job_id, study, order.pipeline)
            return get_job(connection, order.job_id)

    def publish_notice(
        self, job: Job, edition: Edition, results: Sequence[ResultKind], code: str, now: datetime
    ) -> bool:
        """Let a notice stand for the job's result; False where the job moved on meanwhile."""
        values = {
            "results": list(results),
            "edition": edition.name,
            "published_at": now,
            "notice_code": code,
            "notice_tries": 0,
        }
        with self.database.write() as connection:
            return connection.execute(update(JOB).where(_as_seen(job)).values(values)).rowcount > 0

    def _count_try(self, job_id: str, change: int) -> int:
        this, tries = JOB.c.id == job_id, JOB.c.notice_tries
        with self.database.write() as connection:
            connection.execute(update(JOB).where(this).values(notice_tries=tries + change))
            return int(connection.execute(select(tries).where(this)).scalar_one())

    def alarms(self, before: datetime, limit: int) -> Sequence[Job]:
        """Failed jobs, and those asked for before this time that have not ended; newest first."""
        late = or_(JOB.c.notice_code.is_not(None), JOB.c.asked_at <= before)
        open_and_late = and_(JOB.c.state.in_(OPEN_STATES), late)
        query = select(*JOB_FIELDS).where(or_(JOB.c.state == JobState.FAILED, open_and_late))
        with self.database.read() as connection:
            rows = connection.execute(query.order_by(JOB.c.asked_at.desc()).limit(limit))
            return [job_of(row) for row in rows]


def _as_seen(job: Job) -> ColumnElement[bool]:
    """The job still without result: a run that ended meanwhile must not be covered by a notice.

    Nor may a notice come between a run that writes its result and the end of the job: the result
    would not name it as amended.
    """
    same_error = (
        JOB.c.error_code.is_(None) if job.error_code is None else JOB.c.error_code == job.error_code
    )
    writes = and_(JOB.c.state == JobState.RUNNING, JOB.c.step.in_(_WRITING_STEPS))
    is_open = and_(JOB.c.state.in_(OPEN_STATES), or_(JOB.c.step.is_(None), not_(writes)))
    still = is_open if not job.state.is_final else and_(JOB.c.state == job.state, same_error)
    return and_(JOB.c.id == job.id, still)
