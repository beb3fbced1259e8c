"""The index of headers: what came or was made since it was last read, and what was read of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, and_, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from willis_service.adapters.storage.database import Database
from willis_service.adapters.storage.tables import (
    INSTANCE,
    JOB,
    RESULT_HEADER,
    SERIES_HEADER,
    STUDY,
    STUDY_HEADER,
)
from willis_service.domain.holdings import (
    Attributes,
    ResultHeader,
    SeriesHeader,
    StudyHeader,
    UndescribedResults,
    UndescribedStudy,
    text_of,
)
from willis_service.domain.job import DICOM_OBJECTS, JobState, ResultKind

_LONGEST_KEY = 256


@dataclass(frozen=True)
class SqlHeaders:
    """Serves the port HeaderIndex."""

    database: Database

    def undescribed_studies(self, limit: int, before: datetime) -> Sequence[UndescribedStudy]:
        """Studies that changed before this time and after they were read, the latest first."""
        stale = or_(
            STUDY_HEADER.c.changed_at.is_(None),
            STUDY_HEADER.c.changed_at != STUDY.c.last_instance_at,
        )
        query = (
            select(STUDY.c.study_instance_uid, STUDY.c.last_instance_at)
            .outerjoin(STUDY_HEADER, _same_study(STUDY_HEADER, STUDY))
            .where(stale, STUDY.c.last_instance_at <= before)
            .order_by(STUDY.c.last_instance_at.desc())
            .limit(limit)
        )
        with self.database.read() as connection:
            found = connection.execute(query).all()
            return [UndescribedStudy(uid, at, _new_series(connection, uid)) for uid, at in found]

    def undescribed_results(self, limit: int) -> Sequence[UndescribedResults]:
        """Jobs with published objects that were not read yet, the latest first."""
        read = and_(
            RESULT_HEADER.c.job_id == JOB.c.id,
            RESULT_HEADER.c.kind == ResultKind.SR,  # whatever is published has a report
            RESULT_HEADER.c.edition == JOB.c.edition,
        )
        query = (
            select(JOB.c.id, JOB.c.study_instance_uid, JOB.c.edition, JOB.c.results)
            .outerjoin(RESULT_HEADER, read)
            .where(
                RESULT_HEADER.c.job_id.is_(None),
                JOB.c.edition.is_not(None),
                JOB.c.state != JobState.SUPERSEDED,
                JOB.c.results_purged_at.is_(None),
                JOB.c.study_instance_uid != "",
            )
            .order_by(JOB.c.published_at.desc())
            .limit(limit)
        )
        with self.database.read() as connection:
            rows = connection.execute(query)
            found = [UndescribedResults(*row[:3], _dicom(row[3])) for row in rows]
        return [results for results in found if results.kinds]

    def put_study(self, study: StudyHeader, series: Iterable[SeriesHeader]) -> None:
        """Store what was read of a study. What was stored of it before stays."""
        try:
            with self.database.write() as connection:
                _put_study(connection, study)
                for one in series:
                    connection.execute(insert(SERIES_HEADER).values(_series_row(one)))
        except IntegrityError:
            return  # another process read the same files and was first

    def put_results(self, results: Iterable[ResultHeader]) -> None:
        """Store what was read of a job's objects, in the place of what an earlier end left."""
        try:
            with self.database.write() as connection:
                for one in results:
                    key = (one.held.job_id, one.held.kind)
                    this = and_(RESULT_HEADER.c.job_id == key[0], RESULT_HEADER.c.kind == key[1])
                    connection.execute(delete(RESULT_HEADER).where(this))
                    connection.execute(insert(RESULT_HEADER).values(_result_row(one)))
        except IntegrityError:
            return  # another process read the same files and was first


def _same_study(left: Table, right: Table) -> Any:
    return left.c.study_instance_uid == right.c.study_instance_uid


def _new_series(connection: Connection, study_instance_uid: str) -> dict[str, str]:
    """The path of the first object of each series that has no header yet, in order of arrival."""
    known = select(SERIES_HEADER.c.series_instance_uid).where(
        SERIES_HEADER.c.study_instance_uid == study_instance_uid
    )
    firsts = (
        select(func.min(INSTANCE.c.id))
        .where(
            INSTANCE.c.study_instance_uid == study_instance_uid,
            INSTANCE.c.is_first,
            INSTANCE.c.purged_at.is_(None),
            INSTANCE.c.series_instance_uid.not_in(known),
        )
        .group_by(INSTANCE.c.series_instance_uid)
    )
    query = select(INSTANCE.c.series_instance_uid, INSTANCE.c.path).where(INSTANCE.c.id.in_(firsts))
    return {row[0]: row[1] for row in connection.execute(query.order_by(INSTANCE.c.id))}


def _dicom(results: Sequence[str]) -> tuple[ResultKind, ...]:
    return tuple(kind for kind in DICOM_OBJECTS if kind in results)


def _put_study(connection: Connection, study: StudyHeader) -> None:
    this = STUDY_HEADER.c.study_instance_uid == study.study_instance_uid
    seen = update(STUDY_HEADER).where(this).values(changed_at=study.changed_at)
    if connection.execute(seen).rowcount == 0:
        connection.execute(insert(STUDY_HEADER).values(_study_row(study)))


def _study_row(study: StudyHeader) -> dict[str, Any]:
    attributes = study.attributes
    return {
        "study_instance_uid": study.study_instance_uid,
        "changed_at": study.changed_at,
        "patient_id": _key(attributes, "00100020"),
        # Folded here: SQLite folds the case of ASCII letters only. The bounds make each component
        # group (PS3.5 6.2.1) findable by itself.
        "patient_name": f"={_key(attributes, '00100010').casefold()}=",
        "accession_number": _key(attributes, "00080050"),
        "study_date": _key(attributes, "00080020"),
        "study_description": _key(attributes, "00081030").casefold(),
        "attributes": dict(attributes),
    }


def _key(attributes: Attributes, tag: str) -> str:
    """What is matched; cut, since an index takes no more and nobody searches for more."""
    return text_of(attributes, tag)[:_LONGEST_KEY]


def _series_row(series: SeriesHeader) -> dict[str, Any]:
    return {
        "study_instance_uid": series.study_instance_uid,
        "series_instance_uid": series.series_instance_uid,
        **_series_keys(series.attributes),
    }


def _result_row(result: ResultHeader) -> dict[str, Any]:
    held = result.held
    return {
        "job_id": held.job_id,
        "kind": held.kind,
        "edition": result.edition,
        "study_instance_uid": held.study_instance_uid,
        "series_instance_uid": held.series_instance_uid,
        "sop_instance_uid": held.sop_instance_uid,
        "sop_class_uid": held.sop_class_uid,
        "transfer_syntax_uid": held.transfer_syntax_uid,
        "size_bytes": held.size_bytes,
        **_series_keys(result.attributes),
    }


def _series_keys(attributes: Attributes) -> dict[str, Any]:
    return {
        "modality": _key(attributes, "00080060"),
        "series_description": _key(attributes, "0008103E").casefold(),
        "series_number": _key(attributes, "00200011"),
        "attributes": dict(attributes),
    }
