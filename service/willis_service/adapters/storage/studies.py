"""Studies and instances in the database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import (
    Connection,
    Row,
    and_,
    bindparam,
    func,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from willis_service.adapters.storage.arrivals import Outcome, add_arrivals
from willis_service.adapters.storage.database import Database
from willis_service.adapters.storage.lazy import flush
from willis_service.adapters.storage.tables import INSTANCE, STUDY
from willis_service.domain.instance import Arrival, StoredInstance
from willis_service.domain.study import OpenStudy, SeriesArrival

_FIELDS = [INSTANCE.c[field.name] for field in fields(StoredInstance)]

_COUNT = select(func.count()).where(
    INSTANCE.c.study_instance_uid == bindparam("study"), INSTANCE.c.is_first == bindparam("first")
)
_OPEN_STUDIES = (
    select(
        STUDY.c.study_instance_uid,
        STUDY.c.open_since,
        STUDY.c.last_instance_at,
        STUDY.c.instance_count,
    )
    .where(STUDY.c.open_since.is_not(None))
    .order_by(STUDY.c.open_since)
)
_ARRIVALS = (
    select(INSTANCE.c.series_instance_uid, func.count(), func.max(INSTANCE.c.received_at))
    .where(INSTANCE.c.study_instance_uid == bindparam("study"))
    .group_by(INSTANCE.c.series_instance_uid)
)
_RACES_LIMIT = 5


@dataclass(frozen=True)
class SqlStudies:
    """The index of everything received."""

    database: Database
    lazy: Database | None = None
    """The same database, over connections that commit without waiting for the disk."""

    def find(self, sop_instance_uid: str, sha256: str) -> StoredInstance | None:
        """Exactly this instance, if it was stored before."""
        wanted = and_(INSTANCE.c.sop_instance_uid == sop_instance_uid, INSTANCE.c.sha256 == sha256)
        with self.database.read() as connection:
            row = connection.execute(select(*_FIELDS).where(wanted)).one_or_none()
            return None if row is None else _instance(row)

    def add_all(
        self, arrivals: Sequence[Arrival], wait_for_files: Callable[[], bool]
    ) -> Sequence[Outcome]:
        """Index instances in one transaction; what became of each."""
        for _ in range(_RACES_LIMIT):
            try:
                return self._add_all(arrivals, wait_for_files)
            except IntegrityError:
                # Another process stored the same UID or study between our look and our insert;
                # now it is seen.
                continue
        return self._add_all(arrivals, wait_for_files)

    def instances(self, study_instance_uid: str) -> Sequence[StoredInstance]:
        """The study's instances in order of arrival, conflicting and purged ones left out."""
        wanted = and_(
            INSTANCE.c.study_instance_uid == study_instance_uid,
            INSTANCE.c.is_first,
            INSTANCE.c.purged_at.is_(None),
        )
        with self.database.read() as connection:
            rows = connection.execute(select(*_FIELDS).where(wanted).order_by(INSTANCE.c.id))
            return [_instance(row) for row in rows]

    def count_conflicts(self, study_instance_uid: str) -> int:
        """How many instances came with other bytes under a known UID."""
        with self.database.read() as connection:
            return _count(connection, study_instance_uid, is_first=False)

    def open_studies(self) -> Sequence[OpenStudy]:
        """Studies with instances that were not routed yet, oldest first."""
        with self.database.read() as connection:
            return [OpenStudy(*row) for row in connection.execute(_OPEN_STUDIES)]

    def arrivals(self, study_instance_uid: str) -> Sequence[SeriesArrival]:
        """How far each series of the study has arrived."""
        with self.database.read() as connection:
            rows = connection.execute(_ARRIVALS, {"study": study_instance_uid})
            return [SeriesArrival(*row) for row in rows]

    def close(self, study: OpenStudy, now: datetime) -> bool:
        """Mark as routed; False where something came meanwhile: it stays open, since now."""
        this = STUDY.c.study_instance_uid == study.study_instance_uid
        # The number of instances tells two that came within one tick of the clock apart.
        unchanged = and_(
            STUDY.c.last_instance_at == study.last_instance_at,
            STUDY.c.instance_count == study.instances,
        )
        with self.database.write() as connection:
            closing = update(STUDY).where(this, unchanged).values(open_since=None)
            if connection.execute(closing).rowcount:
                return True
            connection.execute(update(STUDY).where(this).values(open_since=now))
            return False

    def _add_all(
        self, arrivals: Sequence[Arrival], wait_for_files: Callable[[], bool]
    ) -> Sequence[Outcome]:
        with (self.lazy or self.database).write() as connection:
            outcomes = add_arrivals(connection, arrivals)
            is_journaled = wait_for_files()
        if self.lazy is not None and not is_journaled:
            flush(self.database)
        return outcomes


def _instance(row: Row[tuple[object, ...]]) -> StoredInstance:
    return StoredInstance(**row._mapping)


def _count(connection: Connection, study_instance_uid: str, is_first: bool) -> int:
    values = {"study": study_instance_uid, "first": is_first}
    return int(connection.execute(_COUNT, values).scalar_one())
