"""What is kept of a study, and what keeps it from being removed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, select

from willis_service.adapters.storage.job_rows import OPEN_STATES
from willis_service.adapters.storage.tables import DELIVERY, INSTANCE, JOB, STUDY
from willis_service.domain.delivery import OWED, DeliveryState
from willis_service.domain.job import JobState
from willis_service.domain.retention import Holding

IS_KEPT = INSTANCE.c.purged_at.is_(None)
HAS_RESULTS = JOB.c.edition.is_not(None)
_JOB_COLUMNS = (
    JOB.c.id,
    JOB.c.study_instance_uid,
    JOB.c.state,
    JOB.c.edition,
    JOB.c.asked_at,
    JOB.c.created_at,
    JOB.c.finished_at,
    JOB.c.published_at,
    JOB.c.delivery_planned_for,
    JOB.c.retracted_at,
    JOB.c.notice_code,
)
_AWAITS_COMMITMENT = and_(
    DELIVERY.c.state == DeliveryState.SENT, DELIVERY.c.commitment_due_at.is_not(None)
)
Found = Any
"""A row; SQLAlchemy's types count its columns, which says nothing here."""
Rows = Mapping[str, Sequence[Found]]


def studies_of(connection: Connection, uids: Sequence[str]) -> list[Holding]:
    """What is kept of these studies, in their order."""
    columns = (STUDY.c.study_instance_uid, STUDY.c.last_instance_at, STUDY.c.open_since)
    found = connection.execute(select(*columns).where(STUDY.c.study_instance_uid.in_(uids)))
    studies = {row[0]: row for row in found}
    kept = and_(INSTANCE.c.study_instance_uid.in_(uids), IS_KEPT)
    sizes = select(INSTANCE.c.study_instance_uid, func.count(), func.sum(INSTANCE.c.size_bytes))
    held = {
        row[0]: (int(row[1]), int(row[2]))
        for row in connection.execute(sizes.where(kept).group_by(INSTANCE.c.study_instance_uid))
    }
    jobs = _jobs(connection, JOB.c.study_instance_uid.in_(uids))
    deliveries = _deliveries(connection, jobs)
    return [
        _holding(uid, studies[uid], jobs[uid], deliveries, held.get(uid, (0, 0)))
        for uid in uids
        if uid in studies
    ]


def images_of(connection: Connection) -> list[Holding]:
    """What is kept of uploads that belong to no study: one for each job with results."""
    jobs = _jobs(connection, and_(JOB.c.study_instance_uid == "", HAS_RESULTS))
    deliveries = _deliveries(connection, jobs)
    found = [_holding("", None, [job], deliveries, (0, 0)) for job in jobs[""]]
    return sorted(found, key=lambda one: one.arrived_at)


def _jobs(connection: Connection, which: ColumnElement[bool]) -> Rows:
    jobs: dict[str, list[Found]] = defaultdict(list)
    for row in connection.execute(select(*_JOB_COLUMNS).where(which).order_by(JOB.c.id)):
        jobs[row.study_instance_uid].append(row)
    return jobs


def _deliveries(connection: Connection, jobs: Rows) -> Rows:
    ids = [job.id for of_study in jobs.values() for job in of_study]
    columns = (
        DELIVERY.c.job_id,
        DELIVERY.c.destination,
        DELIVERY.c.state,
        DELIVERY.c.sent_at,
        DELIVERY.c.committed_at,
        _AWAITS_COMMITMENT.label("awaits_commitment"),
    )
    found: dict[str, list[Found]] = defaultdict(list)
    for row in connection.execute(select(*columns).where(DELIVERY.c.job_id.in_(ids))):
        found[row.job_id].append(row)
    return found


def _holding(
    uid: str,
    study: Found | None,
    jobs: Sequence[Found],
    deliveries: Rows,
    held: tuple[int, int],
) -> Holding:
    sent = [one for job in jobs for one in deliveries.get(job.id, ())]
    arrived_at = study.last_instance_at if study is not None else jobs[0].created_at
    moments = [arrived_at]
    moments += [at for j in jobs for at in (j.asked_at, j.finished_at, j.published_at)]
    moments += [at for one in sent for at in (one.sent_at, one.committed_at)]
    is_open = study is not None and study.open_since is not None
    return Holding(
        study_instance_uid=uid,
        job_ids=tuple(job.id for job in jobs if job.edition is not None),
        arrived_at=arrived_at,
        done_at=_latest(moments),
        instance_count=held[0],
        instance_bytes=held[1],
        blockers=(
            *(["its images are not routed yet"] if is_open else ()),
            *sorted({reason for job in jobs if (reason := _of_job(job))}),
            *sorted({reason for one in sent if (reason := _of_delivery(one))}),
        ),
    )


def _of_job(job: Found) -> str | None:
    if job.state in OPEN_STATES:
        return "a job is not finished"
    if job.state == JobState.FAILED and job.notice_code is None:
        return "the notice of a failure is not written yet"
    is_standing = job.edition is not None and job.state != JobState.SUPERSEDED
    if is_standing and job.retracted_at is None and job.delivery_planned_for != job.published_at:
        return "its deliveries are not planned yet"
    return None


def _of_delivery(delivery: Found) -> str | None:
    if DeliveryState(delivery.state) in OWED:
        return f"not delivered to {delivery.destination} ({delivery.state})"
    if delivery.awaits_commitment:
        return f"{delivery.destination} has not vouched for it"
    return None


def _latest(moments: Iterable[datetime | None]) -> datetime:
    return max(moment for moment in moments if moment is not None)
