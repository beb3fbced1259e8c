"""Rows of the ledger, read and written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from willis_service.adapters.storage.tables import DELIVERY
from willis_service.domain.delivery import Delivery, DeliveryState, NewDelivery
from willis_service.domain.job import Priority, ResultKind

FIELDS = [DELIVERY.c[field.name] for field in fields(Delivery)]


def delivery_of(row: Row[Any]) -> Delivery:
    """A row of these fields as the application knows it."""
    values = dict(row._mapping)
    values["state"] = DeliveryState(values["state"])
    values["priority"] = Priority(values["priority"])
    values["kind"] = ResultKind(values["kind"])
    return Delivery(**values)


def insert_missing(
    connection: Connection, deliveries: Sequence[NewDelivery], now: datetime
) -> None:
    """Enter the deliveries that are not in the ledger, inside the caller's transaction."""
    wanted = {one.id: one for one in deliveries}
    known = select(DELIVERY.c.id).where(DELIVERY.c.id.in_(wanted))
    missing = wanted.keys() - set(connection.execute(known).scalars())
    if missing:
        connection.execute(insert(DELIVERY), [_values(wanted[i], now) for i in sorted(missing)])


def _values(new: NewDelivery, now: datetime) -> dict[str, Any]:
    return {
        "id": new.id,
        "job_id": new.job_id,
        "destination": new.destination,
        "kind": new.object.kind,
        "object_id": new.object.object_id,
        "sop_class_uid": new.object.sop_class_uid,
        "state": DeliveryState.PLANNED,
        "priority": new.priority,
        "attempts": 0,
        "planned_at": now,
        "next_attempt_at": now,
        "may_be_there": False,
    }
