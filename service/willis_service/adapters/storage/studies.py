"""Studies and instances in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import (
    Boolean,
    Connection,
    Row,
    and_,
    bindparam,
    case,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from willis_models.errors import UploadTooLarge
from willis_service.adapters.storage.database import Database
from willis_service.adapters.storage.tables import INSTANCE, STUDY
from willis_service.domain.instance import Receipt, StoredInstance
from willis_service.domain.study import OpenStudy

_FIELDS = [INSTANCE.c[field.name] for field in fields(StoredInstance)]

# What runs once for each received instance is built once: building costs more than running it.
_CONTENTS_OF_UID = select(INSTANCE.c.sha256).where(INSTANCE.c.sop_instance_uid == bindparam("sop"))
_COUNT = select(func.count()).where(
    INSTANCE.c.study_instance_uid == bindparam("study"), INSTANCE.c.is_first == bindparam("first")
)
_TOUCH = (
    update(STUDY)
    .where(STUDY.c.study_instance_uid == bindparam("study"))
    .values(
        last_instance_at=bindparam("now"),
        open_since=case(
            (
                bindparam("opens", type_=Boolean),
                func.coalesce(STUDY.c.open_since, bindparam("now")),
            ),
            else_=STUDY.c.open_since,
        ),
    )
)
_INSERT_STUDY, _INSERT_INSTANCE = insert(STUDY), insert(INSTANCE)


@dataclass(frozen=True)
class SqlStudies:
    """The index of everything received."""

    database: Database

    def holds(self, sop_instance_uid: str, sha256: str) -> bool:
        """Whether exactly this instance was stored before."""
        with self.database.read() as connection:
            return sha256 in _contents(connection, sop_instance_uid)

    def add(self, instance: StoredInstance, opens_study: bool, instance_limit: int) -> Receipt:
        """Index an instance. Raises UploadTooLarge when its study would pass the limit."""
        try:
            return self._add(instance, opens_study, instance_limit)
        except IntegrityError:
            # Another sender stored the same UID between our look and our insert; now it is seen.
            return self._add(instance, opens_study, instance_limit)

    def instances(self, study_instance_uid: str) -> Sequence[StoredInstance]:
        """The study's instances in order of arrival, conflicting ones left out."""
        wanted = and_(INSTANCE.c.study_instance_uid == study_instance_uid, INSTANCE.c.is_first)
        with self.database.read() as connection:
            rows = connection.execute(select(*_FIELDS).where(wanted).order_by(INSTANCE.c.id))
            return [_instance(row) for row in rows]

    def count_conflicts(self, study_instance_uid: str) -> int:
        """How many instances came with other bytes under a known UID."""
        with self.database.read() as connection:
            return _count(connection, study_instance_uid, is_first=False)

    def open_studies(self) -> Sequence[OpenStudy]:
        """Studies with instances that were not routed yet, oldest first."""
        columns = (STUDY.c.study_instance_uid, STUDY.c.open_since, STUDY.c.last_instance_at)
        query = select(*columns).where(STUDY.c.open_since.is_not(None))
        with self.database.read() as connection:
            return [OpenStudy(*row) for row in connection.execute(query.order_by(columns[1]))]

    def close(self, study: OpenStudy, now: datetime) -> None:
        """Mark as routed; it stays open (since now) if something came in the meantime."""
        this = STUDY.c.study_instance_uid == study.study_instance_uid
        unchanged = STUDY.c.last_instance_at == study.last_instance_at
        with self.database.write() as connection:
            closing = update(STUDY).where(this, unchanged).values(open_since=None)
            if connection.execute(closing).rowcount == 0:
                connection.execute(update(STUDY).where(this).values(open_since=now))

    def _add(self, instance: StoredInstance, opens_study: bool, instance_limit: int) -> Receipt:
        with self.database.write() as connection:
            known = _contents(connection, instance.sop_instance_uid)
            if instance.sha256 in known:
                return Receipt.DUPLICATE
            if _count(connection, instance.study_instance_uid, is_first=True) >= instance_limit:
                raise UploadTooLarge("The study has more instances than this installation takes.")
            _touch_study(connection, instance, opens_study)
            connection.execute(_INSERT_INSTANCE, {**vars(instance), "is_first": not known})
            return Receipt.CONFLICT if known else Receipt.STORED


def _instance(row: Row[tuple[object, ...]]) -> StoredInstance:
    return StoredInstance(**row._mapping)


def _contents(connection: Connection, sop_instance_uid: str) -> Sequence[str]:
    """Digests of everything that came under this UID."""
    return connection.execute(_CONTENTS_OF_UID, {"sop": sop_instance_uid}).scalars().all()


def _count(connection: Connection, study_instance_uid: str, is_first: bool) -> int:
    values = {"study": study_instance_uid, "first": is_first}
    return int(connection.execute(_COUNT, values).scalar_one())


def _touch_study(connection: Connection, instance: StoredInstance, opens_study: bool) -> None:
    study, now = instance.study_instance_uid, instance.received_at
    if connection.execute(_TOUCH, {"study": study, "now": now, "opens": opens_study}).rowcount:
        return
    values = {
        "study_instance_uid": study,
        "first_received_at": now,
        "last_instance_at": now,
        "open_since": now if opens_study else None,
    }
    connection.execute(_INSERT_STUDY, values)
