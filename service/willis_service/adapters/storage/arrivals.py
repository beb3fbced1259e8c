"""Arrived instances on their way into the database: a group of them in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Boolean, Connection, bindparam, case, func, insert, null, select, update

from willis_models.errors import UploadTooLarge
from willis_service.adapters.storage.prepared import Prepared
from willis_service.adapters.storage.tables import INSTANCE, STUDY
from willis_service.domain.instance import Arrival, Receipt, StoredInstance

_THIS_STUDY = STUDY.c.study_instance_uid == bindparam("study")
_NOW = bindparam("now", type_=STUDY.c.last_instance_at.type)

_KNOWN = Prepared(
    select(INSTANCE.c.sha256, INSTANCE.c.is_first, INSTANCE.c.purged_at.is_not(None)).where(
        INSTANCE.c.sop_instance_uid == bindparam("sop")
    )
)
_TOTALS = Prepared(
    select(STUDY.c.instance_count, STUDY.c.size_bytes).where(_THIS_STUDY).with_for_update()
)
_TOUCH_STUDY = Prepared(
    update(STUDY)
    .where(_THIS_STUDY)
    .values(
        last_instance_at=case(
            (STUDY.c.last_instance_at < _NOW, _NOW), else_=STUDY.c.last_instance_at
        ),
        open_since=case(
            (bindparam("opens", type_=Boolean), func.coalesce(STUDY.c.open_since, _NOW)),
            else_=STUDY.c.open_since,
        ),
        instance_count=STUDY.c.instance_count + bindparam("more"),
        size_bytes=STUDY.c.size_bytes + bindparam("more_bytes"),
    )
)
_ADD_STUDY = Prepared(
    insert(STUDY).inline(),
    (
        "study_instance_uid",
        "first_received_at",
        "last_instance_at",
        "open_since",
        "instance_count",
        "size_bytes",
    ),
)
_ADD_INSTANCE = Prepared(
    insert(INSTANCE).inline(),
    (*(name for name in StoredInstance.__dataclass_fields__), "is_first"),
)
_RESTORE = Prepared(
    update(INSTANCE)
    .where(INSTANCE.c.sop_instance_uid == bindparam("sop"), INSTANCE.c.sha256 == bindparam("sha"))
    .values(
        path=bindparam("place"),
        size_bytes=bindparam("bytes"),
        sender=bindparam("by"),
        received_at=bindparam("at"),
        purged_at=null(),
    )
)

Outcome = Receipt | UploadTooLarge


class _Known(NamedTuple):
    is_first: bool
    is_purged: bool


@dataclass
class _Totals:
    """How large a study is, this transaction included."""

    is_new: bool
    instances: int
    size_bytes: int


@dataclass
class _Group:
    """One transaction's view of the studies and UIDs that it touches."""

    connection: Connection
    totals: dict[str, _Totals] = field(default_factory=dict)
    known: dict[str, dict[str, _Known]] = field(default_factory=dict)
    """By SOP Instance UID and digest."""

    def look_up(self, arrivals: Sequence[Arrival]) -> None:
        # In one order, so that two processes on PostgreSQL wait for each other only one way.
        for study in sorted({arrival.instance.study_instance_uid for arrival in arrivals}):
            rows = _TOTALS.run(self.connection, {"study": study})
            self.totals[study] = _Totals(False, *rows[0]) if rows else _Totals(True, 0, 0)
        for sop in {arrival.instance.sop_instance_uid for arrival in arrivals}:
            rows = _KNOWN.run(self.connection, {"sop": sop})
            self.known[sop] = {
                sha256: _Known(bool(is_first), bool(is_purged))
                for sha256, is_first, is_purged in rows
            }

    def take(self, arrival: Arrival) -> Outcome:
        instance = arrival.instance
        contents = self.known[instance.sop_instance_uid]
        same = contents.get(instance.sha256)
        if same is not None and not same.is_purged:
            return Receipt.DUPLICATE
        totals = self.totals[instance.study_instance_uid]
        count, size = (1, instance.size_bytes) if same is None else (0, 0)
        if not arrival.limits.admit(totals.instances + count, totals.size_bytes + size):
            return UploadTooLarge("The study is larger than this installation takes.")
        self._grow(arrival, totals, count, size)
        is_first = not contents if same is None else same.is_first
        contents[instance.sha256] = _Known(is_first, is_purged=False)
        if same is None:
            _ADD_INSTANCE.run(self.connection, {**vars(instance), "is_first": is_first})
        else:
            _RESTORE.run(self.connection, _restoring(instance))
        return Receipt.STORED if is_first else Receipt.CONFLICT

    def _grow(self, arrival: Arrival, totals: _Totals, count: int, size_bytes: int) -> None:
        instance, now = arrival.instance, arrival.instance.received_at
        totals.instances += count
        totals.size_bytes += size_bytes
        if not totals.is_new:
            values = {"study": instance.study_instance_uid, "now": now}
            more = {"opens": arrival.opens_study, "more": count, "more_bytes": size_bytes}
            _TOUCH_STUDY.run(self.connection, values | more)
            return
        totals.is_new = False
        row = {
            "study_instance_uid": instance.study_instance_uid,
            "first_received_at": now,
            "last_instance_at": now,
            "open_since": now if arrival.opens_study else None,
            "instance_count": count,
            "size_bytes": size_bytes,
        }
        _ADD_STUDY.run(self.connection, row)


def add_arrivals(connection: Connection, arrivals: Sequence[Arrival]) -> list[Outcome]:
    """Index instances within the caller's transaction; what became of each, in their order."""
    group = _Group(connection)
    group.look_up(arrivals)
    return [group.take(arrival) for arrival in arrivals]


def _restoring(instance: StoredInstance) -> dict[str, object]:
    return {
        "sop": instance.sop_instance_uid,
        "sha": instance.sha256,
        "place": instance.path,
        "bytes": instance.size_bytes,
        "by": instance.sender,
        "at": instance.received_at,
    }
