"""Studies as those who run the installation see them: counts, conflicts and jobs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, case, func, select

from willis_models.errors import UnknownStudy
from willis_service.adapters.storage.database import Database
from willis_service.adapters.storage.tables import INSTANCE, JOB, STUDY
from willis_service.domain.job import JobState
from willis_service.domain.study_overview import (
    Conflict,
    JobLine,
    SeriesLine,
    StudyDetails,
    StudyOverview,
    Version,
)

_STUDY = (
    STUDY.c.study_instance_uid,
    STUDY.c.first_received_at,
    STUDY.c.last_instance_at,
    STUDY.c.open_since,
)
_NOTHING = (0, 0, 0, 0)


@dataclass(frozen=True)
class SqlStudyRecords:
    """Serves the port StudyRecords."""

    database: Database

    def overviews(self, limit: int, offset: int) -> Sequence[StudyOverview]:
        """Studies, the latest to arrive first."""
        order = (STUDY.c.first_received_at.desc(), STUDY.c.study_instance_uid)
        with self.database.read() as connection:
            page = select(*_STUDY).order_by(*order).limit(limit).offset(offset)
            return _overviews(connection, connection.execute(page).all())

    def count(self) -> int:
        """How many studies there are."""
        with self.database.read() as connection:
            return connection.execute(select(func.count()).select_from(STUDY)).scalar_one()

    def details(self, study_instance_uid: str) -> StudyDetails:
        """One study. Raises UnknownStudy."""
        with self.database.read() as connection:
            this = select(*_STUDY).where(STUDY.c.study_instance_uid == study_instance_uid)
            overviews = _overviews(connection, connection.execute(this).all())
            if not overviews:
                raise UnknownStudy("No instance of this study was received.")
            series = _series(connection, study_instance_uid)
            return StudyDetails(overviews[0], series, _conflicts(connection, study_instance_uid))


def _overviews(connection: Connection, studies: Sequence[Any]) -> Sequence[StudyOverview]:
    uids = [study.study_instance_uid for study in studies]
    counts, senders = _counts(connection, uids), _senders(connection, uids)
    jobs = _jobs(connection, uids)
    return [
        _overview(study, counts.get(uid, _NOTHING), senders[uid], jobs[uid])
        for uid, study in zip(uids, studies, strict=True)
    ]


def _overview(
    study: Any, counts: Sequence[int], senders: Iterable[str], jobs: Iterable[JobLine]
) -> StudyOverview:
    series, instances, size_bytes, conflicts = counts
    return StudyOverview(
        study_instance_uid=study.study_instance_uid,
        first_received_at=study.first_received_at,
        last_received_at=study.last_instance_at,
        is_open=study.open_since is not None,
        senders=tuple(senders),
        series=series,
        instances=instances,
        size_bytes=int(size_bytes),
        conflicts=conflicts,
        jobs=tuple(jobs),
    )


def _counts(connection: Connection, studies: Sequence[str]) -> dict[str, Sequence[int]]:
    """Series, instances, bytes and conflicting instances of each study."""
    first = case((INSTANCE.c.is_first, 1), else_=0)
    query = (
        select(
            INSTANCE.c.study_instance_uid,
            func.count(func.distinct(INSTANCE.c.series_instance_uid)),
            func.sum(first),
            func.sum(INSTANCE.c.size_bytes),
            func.sum(1 - first),
        )
        .where(INSTANCE.c.study_instance_uid.in_(studies))
        .group_by(INSTANCE.c.study_instance_uid)
    )
    return {row[0]: row[1:] for row in connection.execute(query)}


def _senders(connection: Connection, studies: Sequence[str]) -> dict[str, list[str]]:
    columns = (INSTANCE.c.study_instance_uid, INSTANCE.c.sender)
    query = select(*columns).where(INSTANCE.c.study_instance_uid.in_(studies)).distinct()
    found: dict[str, list[str]] = defaultdict(list)
    for study, sender in connection.execute(query.order_by(*columns)):
        found[study].append(sender)
    return found


def _jobs(connection: Connection, studies: Sequence[str]) -> dict[str, list[JobLine]]:
    query = select(
        JOB.c.study_instance_uid,
        JOB.c.id,
        JOB.c.pipeline,
        JOB.c.state,
        JOB.c.error_code,
        JOB.c.created_at,
    ).where(JOB.c.study_instance_uid.in_(studies))
    found: dict[str, list[JobLine]] = defaultdict(list)
    for study, job_id, pipeline, state, *rest in connection.execute(
        query.order_by(JOB.c.created_at, JOB.c.id)
    ):
        found[study].append(JobLine(job_id, pipeline, JobState(state), *rest))
    return found


def _series(connection: Connection, study: str) -> tuple[SeriesLine, ...]:
    query = (
        select(
            INSTANCE.c.series_instance_uid,
            func.count(),
            func.min(INSTANCE.c.received_at),
            func.max(INSTANCE.c.received_at),
        )
        .where(INSTANCE.c.study_instance_uid == study, INSTANCE.c.is_first)
        .group_by(INSTANCE.c.series_instance_uid)
        .order_by(func.min(INSTANCE.c.id))
    )
    return tuple(SeriesLine(*row) for row in connection.execute(query))


def _conflicts(connection: Connection, study: str) -> tuple[Conflict, ...]:
    """Every version of each UID that came with more than one content, from any study."""
    doubted = select(INSTANCE.c.sop_instance_uid).where(
        INSTANCE.c.study_instance_uid == study, INSTANCE.c.is_first.is_(False)
    )
    query = (
        select(
            INSTANCE.c.sop_instance_uid,
            INSTANCE.c.series_instance_uid,
            INSTANCE.c.sha256,
            INSTANCE.c.sender,
            INSTANCE.c.received_at,
            INSTANCE.c.size_bytes,
            INSTANCE.c.is_first,
        )
        .where(INSTANCE.c.sop_instance_uid.in_(doubted))
        .order_by(INSTANCE.c.sop_instance_uid, INSTANCE.c.id)
    )
    rows = connection.execute(query).all()
    return tuple(
        Conflict(sop, versions[0][1], tuple(Version(*version[2:]) for version in versions))
        for sop, group in groupby(rows, key=lambda row: row[0])
        if (versions := list(group))
    )
