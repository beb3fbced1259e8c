"""Which job stands for a study: a new one takes the place of those before it.

Each function works within a transaction that took its turn for the study.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, update

from willis_service.adapters.storage.job_rows import ENDED_STATES, OPEN_STATES
from willis_service.adapters.storage.tables import JOB
from willis_service.domain.job import ROUTING, JobState


def replace_earlier(
    connection: Connection, job_id: str, study_instance_uid: str, pipeline: str, now: datetime
) -> dict[str, Any]:
    """End what was not finished for the study; what this makes of the new job's row.

    It names the job whose result it will amend, and comes after all others.
    """
    others = _others(job_id, study_instance_uid, pipeline)
    published = or_(JOB.c.state.in_(ENDED_STATES), JOB.c.notice_code.is_not(None))
    query = select(JOB.c.id).where(others, published, JOB.c.state != JobState.SUPERSEDED)
    # A result of the pipeline goes before the notice that the study could not be routed.
    order = (JOB.c.pipeline == ROUTING, JOB.c.created_at.desc(), JOB.c.published_at.desc())
    amended = connection.execute(query.order_by(*order).limit(1)).scalar()
    unfinished = and_(others, JOB.c.state.in_(OPEN_STATES))
    gone = {"state": JobState.SUPERSEDED, "successor_id": job_id, "finished_at": now, "step": None}
    connection.execute(update(JOB).where(unfinished).values(gone))
    latest = connection.execute(select(func.max(JOB.c.created_at)).where(others)).scalar()
    # A clock that was put back reverses no order.
    created_at = now if latest is None else max(now, latest + timedelta(microseconds=1))
    return {"predecessor_id": amended, "created_at": created_at}


def retire_earlier(
    connection: Connection, job_id: str, study_instance_uid: str, pipeline: str
) -> None:
    """The job has a result: those that ended before it no longer stand for the study."""
    ended = and_(_others(job_id, study_instance_uid, pipeline), JOB.c.state.in_(ENDED_STATES))
    gone = {"state": JobState.SUPERSEDED, "successor_id": job_id}
    connection.execute(update(JOB).where(ended).values(gone))


def is_replaced(connection: Connection, job_id: str) -> bool:
    """Whether a later job stands for this one's study."""
    row = connection.execute(
        select(JOB.c.study_instance_uid, JOB.c.pipeline, JOB.c.created_at).where(JOB.c.id == job_id)
    ).one()
    later = and_(_others(job_id, row[0], row[1]), JOB.c.created_at > row[2])
    return connection.execute(select(JOB.c.id).where(later).limit(1)).first() is not None


def _others(job_id: str, study_instance_uid: str, pipeline: str) -> ColumnElement[bool]:
    """The study's other jobs of this pipeline, and those that say that it could not be routed.

    An uploaded image without a study is nobody's successor.
    """
    return and_(
        JOB.c.study_instance_uid == study_instance_uid,
        JOB.c.study_instance_uid != "",
        JOB.c.pipeline.in_((pipeline, ROUTING)),
        JOB.c.id != job_id,
    )
