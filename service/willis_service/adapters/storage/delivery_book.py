"""The ledger as people see it and correct it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, update

from willis_models.errors import UnknownDelivery
from willis_service.adapters.storage.database import Database
from willis_service.adapters.storage.delivery_rows import FIELDS, delivery_of, insert_missing
from willis_service.adapters.storage.jobs import SqlJobs
from willis_service.adapters.storage.tables import DELIVERY, JOB
from willis_service.application.ports.delivering import DeliveryQuery
from willis_service.domain.delivery import (
    OWED,
    Delivery,
    DeliveryState,
    NewDelivery,
    ResultObject,
)
from willis_service.domain.job import Job, Priority, ResultKind

_STATE = DELIVERY.c.state
_OWED_AND_STILL = (DeliveryState.PLANNED, DeliveryState.WAITING, DeliveryState.REFUSED)
_THERE = (DeliveryState.SENT, DeliveryState.COMMITTED, DeliveryState.SENDING)


@dataclass(frozen=True)
class SqlDeliveryBook:
    """Serves the port DeliveryBook."""

    database: Database

    def find(self, query: DeliveryQuery) -> Sequence[Delivery]:
        """The latest deliveries that fit, newest first."""
        wanted = {
            DELIVERY.c.job_id: query.job_id,
            DELIVERY.c.destination: query.destination,
            _STATE: query.state,
        }
        conditions = [column == value for column, value in wanted.items() if value is not None]
        found = select(*FIELDS).where(*conditions)
        ordered = found.order_by(DELIVERY.c.planned_at.desc(), DELIVERY.c.id)
        with self.database.read() as connection:
            rows = connection.execute(ordered.limit(query.limit).offset(query.offset))
            return [delivery_of(row) for row in rows]

    def get(self, delivery_id: str) -> Delivery:
        """One delivery. Raises UnknownDelivery."""
        query = select(*FIELDS).where(DELIVERY.c.id == delivery_id)
        with self.database.read() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise UnknownDelivery("There is no delivery of this id. GET /deliveries lists them.")
        return delivery_of(row)

    def send_again(self, delivery_id: str, now: datetime) -> bool:
        """Make it due now; False where it is being sent."""
        still = and_(DELIVERY.c.id == delivery_id, _STATE != DeliveryState.SENDING)
        changes = {
            "state": DeliveryState.WAITING,
            "next_attempt_at": now,
            "sent_at": None,
            "committed_at": None,
            "commitment_due_at": None,
            # What was confirmed once is there, as far as we know.
            "may_be_there": or_(DELIVERY.c.may_be_there, DELIVERY.c.sent_at.is_not(None)),
        }
        with self.database.write() as connection:
            return connection.execute(update(DELIVERY).where(still).values(changes)).rowcount > 0

    def drop(self, delivery_id: str) -> bool:
        """Withdraw what is owed; False where it is being sent or is owed no more."""
        this = and_(DELIVERY.c.id == delivery_id, _STATE.in_(_OWED_AND_STILL))
        with self.database.write() as connection:
            changing = update(DELIVERY).where(this).values(state=DeliveryState.WITHDRAWN)
            return connection.execute(changing).rowcount > 0

    def retract(
        self, job_id: str, reason: str, now: datetime, notices: Mapping[str, ResultObject]
    ) -> Job:
        """Mark the job, withdraw what did not leave, plan the notices; all at once."""
        this, jobs = DELIVERY.c.job_id == job_id, SqlJobs(self.database)
        with self.database.write() as connection:
            if not _mark(connection, job_id, reason, now):
                return jobs.get(job_id)
            told = _where_it_may_be(connection, this)
            void = update(DELIVERY).where(this, _STATE.in_(_OWED_AND_STILL))
            connection.execute(void.values(state=DeliveryState.WITHDRAWN))
            new = [
                NewDelivery(job_id, name, notices[name], Priority.URGENT)
                for name in sorted(told)
                if name in notices
            ]
            insert_missing(connection, new, now)
        return jobs.get(job_id)

    def counts(self) -> Mapping[tuple[str, DeliveryState], int]:
        """Deliveries by destination and state."""
        query = select(DELIVERY.c.destination, _STATE, func.count())
        with self.database.read() as connection:
            rows = connection.execute(query.group_by(DELIVERY.c.destination, _STATE))
            return {(name, DeliveryState(state)): count for name, state, count in rows}

    def owed_since(self) -> Mapping[str, datetime]:
        """When the oldest delivery was planned that a destination is owed."""
        oldest = select(DELIVERY.c.destination, func.min(DELIVERY.c.planned_at))
        query = oldest.where(_STATE.in_(OWED)).group_by(DELIVERY.c.destination)
        with self.database.read() as connection:
            return {name: at for name, at in connection.execute(query)}


def _mark(connection: Connection, job_id: str, reason: str, now: datetime) -> bool:
    """Mark the job as retracted; False where it is already."""
    still = and_(JOB.c.id == job_id, JOB.c.retracted_at.is_(None))
    results = connection.execute(select(JOB.c.results).where(still)).scalar()
    if results is None:
        return False
    changes = {"retracted_at": now, "retraction_reason": reason}
    if ResultKind.SR in results:
        changes["results"] = [*results, ResultKind.RETRACTION]
    return connection.execute(update(JOB).where(still).values(changes)).rowcount > 0


def _where_it_may_be(connection: Connection, of_job: ColumnElement[bool]) -> set[str]:
    there = or_(_STATE.in_(_THERE), DELIVERY.c.may_be_there)
    query = select(DELIVERY.c.destination).where(of_job, there).distinct()
    return set(connection.execute(query).scalars())
