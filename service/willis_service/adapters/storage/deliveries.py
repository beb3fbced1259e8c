"""The delivery ledger in the database: every change is a guarded UPDATE, stored at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, literal, or_, select, update

from willis_service.adapters.storage.database import Database
from willis_service.adapters.storage.delivery_rows import FIELDS, delivery_of, insert_missing
from willis_service.adapters.storage.job_rows import JOB_FIELDS, job_of
from willis_service.adapters.storage.tables import DELIVERY, INSTANCE, JOB
from willis_service.domain.commitment import FailureReason, Reference
from willis_service.domain.delivery import (
    UNREACHABLE,
    CommitmentAnswer,
    Delivery,
    DeliveryState,
    NewDelivery,
    Outcome,
    Postponed,
    Sent,
)
from willis_service.domain.job import Job, JobState, ResultKind

_STATE = DELIVERY.c.state
_NOT_LEFT = (DeliveryState.PLANNED, DeliveryState.WAITING)
_VOID = (*_NOT_LEFT, DeliveryState.REFUSED)
_NO_ERROR = {"error_code": None, "error_message": None}
_NO_LEASE = {"courier": None, "leased_until": None}
_SKEW = timedelta(minutes=5)
"""By how much the clocks of two machines may differ without one of them having been put back."""
_NOT_A_NOTICE = DELIVERY.c.kind != ResultKind.RETRACTION


@dataclass(frozen=True)
class SqlOutbox:
    """Serves the ports DeliveryPlan, Outbox and CommitmentBook.

    The clock may be put back: what was planned or tried at a time that is yet to come is due now,
    and so is whatever waits for a time further ahead than anybody is told to wait: a lease longer
    than ``lease``, a question about commitment later than ``patience``.
    """

    database: Database
    lease: timedelta = timedelta(minutes=1)
    patience: timedelta = timedelta(hours=1)

    def unplanned(self, limit: int) -> Sequence[Job]:
        """Jobs with published results for which nothing was planned, the oldest first."""
        published = JOB.c.published_at
        wanted = and_(
            JOB.c.edition.is_not(None),
            JOB.c.delivery_planned_for.is_distinct_from(published),
            JOB.c.state != JobState.SUPERSEDED,
            JOB.c.retracted_at.is_(None),
        )
        query = select(*JOB_FIELDS).where(wanted).order_by(published, JOB.c.id).limit(limit)
        with self.database.read() as connection:
            return [job_of(row) for row in connection.execute(query)]

    def senders_of(self, study_instance_uid: str) -> frozenset[str]:
        """Calling AE titles that the study's instances came from."""
        of_study = INSTANCE.c.study_instance_uid == study_instance_uid
        query = select(INSTANCE.c.sender).where(of_study).distinct()
        with self.database.read() as connection:
            return frozenset(connection.execute(query).scalars())

    def plan(self, job: Job, deliveries: Sequence[NewDelivery], now: datetime) -> bool:
        """Store all at once; False where the job moved on. What an earlier edition left is void."""
        unchanged = and_(
            JOB.c.id == job.id,
            JOB.c.published_at == job.published_at,
            JOB.c.state != JobState.SUPERSEDED,
            JOB.c.retracted_at.is_(None),
        )
        planned = update(JOB).where(unchanged).values(delivery_planned_for=job.published_at)
        with self.database.write() as connection:
            if connection.execute(planned).rowcount == 0:
                return False
            others = DELIVERY.c.id.not_in([one.id for one in deliveries])
            left = and_(DELIVERY.c.job_id == job.id, others, _STATE.in_(_VOID), _NOT_A_NOTICE)
            void = update(DELIVERY).where(left)
            connection.execute(void.values(state=DeliveryState.WITHDRAWN))
            insert_missing(connection, deliveries, now)
        return True

    def withdraw_outdated(self) -> int:
        """Withdraw what did not leave before its job was superseded or retracted; how many."""
        outdated = or_(JOB.c.state == JobState.SUPERSEDED, JOB.c.retracted_at.is_not(None))
        query = (
            select(DELIVERY.c.id)
            .join(JOB, JOB.c.id == DELIVERY.c.job_id)
            .where(outdated, _STATE.in_(_VOID), _NOT_A_NOTICE)
        )
        with self.database.read() as connection:
            ids = connection.execute(query).scalars().all()
        if not ids:
            return 0
        with self.database.write() as connection:
            these = and_(DELIVERY.c.id.in_(ids), _STATE.in_(_VOID))
            withdrawing = update(DELIVERY).where(these).values(state=DeliveryState.WITHDRAWN)
            return connection.execute(withdrawing).rowcount

    def claim(
        self, destination: str, courier: str, now: datetime, until: datetime
    ) -> Sequence[Delivery]:
        """Take what is due for one job, the most urgent and oldest first; empty if nothing is."""
        due = and_(DELIVERY.c.destination == destination, self._is_due(courier, now))
        # A look without the write lock comes first: most rounds find nothing.
        with self.database.read() as connection:
            job_id = _first_job(connection, due)
        if job_id is None:
            return []
        changes = {
            "state": DeliveryState.SENDING,
            "courier": courier,
            "leased_until": until,
            "attempts": DELIVERY.c.attempts + 1,
            "attempted_at": now,
            # Whoever had it before died with it on the way.
            "may_be_there": or_(DELIVERY.c.may_be_there, _STATE == DeliveryState.SENDING),
        }
        taking = update(DELIVERY).where(due, DELIVERY.c.job_id == job_id).values(changes)
        with self.database.write() as connection:
            return [delivery_of(row) for row in connection.execute(taking.returning(*FIELDS))]

    def keep(self, courier: str, until: datetime) -> None:
        """Prolong the leases of this courier, which lives."""
        mine = and_(DELIVERY.c.courier == courier, _STATE == DeliveryState.SENDING)
        with self.database.read() as connection:
            if connection.execute(select(DELIVERY.c.id).where(mine).limit(1)).first() is None:
                return
        self._change(mine, leased_until=until)

    def release(self, courier: str, now: datetime) -> None:
        """Give back what this courier has claimed; whether it arrived is unknown."""
        mine = and_(DELIVERY.c.courier == courier, _STATE == DeliveryState.SENDING)
        waiting = {"state": DeliveryState.WAITING, "next_attempt_at": now, "may_be_there": True}
        self._change(mine, **waiting, **_NO_LEASE)

    def settle(
        self, delivery_id: str, courier: str, outcome: Outcome, now: datetime, due: datetime | None
    ) -> None:
        """Store an outcome. ``due``: when to try again, or when to ask for commitment."""
        if isinstance(outcome, Sent):
            self._note_sent(delivery_id, outcome, now, due)
            return
        mine = and_(
            DELIVERY.c.id == delivery_id,
            DELIVERY.c.courier == courier,
            _STATE == DeliveryState.SENDING,
        )
        error = {"error_code": outcome.code, "error_message": outcome.message}
        if isinstance(outcome, Postponed):
            maybe = or_(DELIVERY.c.may_be_there, literal(outcome.may_be_there))
            waiting = {"state": DeliveryState.WAITING, "next_attempt_at": due or now}
            self._change(mine, **waiting, may_be_there=maybe, **error, **_NO_LEASE)
        else:
            self._change(mine, state=DeliveryState.REFUSED, **error, **_NO_LEASE)

    def hasten(self, destination: str, now: datetime) -> int:
        """The destination answers again: what could not reach it is due now; how many."""
        unreached = and_(
            DELIVERY.c.destination == destination,
            _STATE == DeliveryState.WAITING,
            DELIVERY.c.error_code == UNREACHABLE,
            DELIVERY.c.next_attempt_at > now,
        )
        return self._change(unreached, next_attempt_at=now)

    def uncommitted(self, destination: str, now: datetime) -> Sequence[Delivery]:
        """Objects of one job that are sent, and for which it is time to ask."""
        asking = DELIVERY.c.commitment_due_at
        due = and_(
            DELIVERY.c.destination == destination,
            _STATE == DeliveryState.SENT,
            or_(asking <= now, asking > now + self.patience + _SKEW),
        )
        with self.database.read() as connection:
            job_id = _first_job(connection, due)
            if job_id is None:
                return []
            query = select(*FIELDS).where(due, DELIVERY.c.job_id == job_id)
            return [delivery_of(row) for row in connection.execute(query)]

    def note_asked(self, ids: Sequence[str], transaction_uid: str, due: datetime) -> None:
        """They were asked for in this transaction; without an answer, again at ``due``."""
        these = and_(DELIVERY.c.id.in_(ids), _STATE == DeliveryState.SENT)
        self._change(these, transaction_uid=transaction_uid, commitment_due_at=due)

    def note_answer(self, answer: CommitmentAnswer, now: datetime, due: datetime) -> int:
        """Store an answer; how many deliveries it was about."""
        asked = and_(
            DELIVERY.c.transaction_uid == answer.transaction_uid, _STATE == DeliveryState.SENT
        )
        with self.database.write() as connection:
            kept = {
                "state": DeliveryState.COMMITTED,
                "committed_at": now,
                "commitment_due_at": None,
                **_NO_ERROR,
            }
            safe = _these(answer.committed)
            count = connection.execute(update(DELIVERY).where(asked, safe).values(kept)).rowcount
            for reference, reason in answer.failed:
                changes = _after_failure(reason, due)
                failed = update(DELIVERY).where(asked, _these([reference])).values(changes)
                count += connection.execute(failed).rowcount
        return count

    def _is_due(self, courier: str, now: datetime) -> ColumnElement[bool]:
        attempted, leased = DELIVERY.c.attempted_at, DELIVERY.c.leased_until
        pause_is_over = or_(DELIVERY.c.next_attempt_at <= now, attempted > now + _SKEW)
        # A courier sends one job at a time to a destination: what it has and does not send is lost.
        is_mine, too_long = DELIVERY.c.courier == courier, leased > now + self.lease + _SKEW
        return and_(
            _STATE.in_((*_NOT_LEFT, DeliveryState.SENDING)),  # for the index
            or_(
                _STATE == DeliveryState.PLANNED,
                and_(_STATE == DeliveryState.WAITING, pause_is_over),
                and_(_STATE == DeliveryState.SENDING, or_(leased <= now, too_long, is_mine)),
            ),
        )

    def _note_sent(
        self, delivery_id: str, outcome: Sent, now: datetime, due: datetime | None
    ) -> None:
        # A confirmation is a fact, whoever holds the lease by now.
        changes = {
            "state": DeliveryState.SENT,
            "sent_at": now,
            "commitment_due_at": due,
            "error_code": outcome.warning,
            "error_message": None,
            **_NO_LEASE,
        }
        this = and_(DELIVERY.c.id == delivery_id, _STATE != DeliveryState.COMMITTED)
        with self.database.write() as connection:
            row = connection.execute(
                update(DELIVERY).where(this).values(changes).returning(*FIELDS)
            ).first()
            if row is not None and row.kind == ResultKind.RETRACTION:
                _mark_retracted(connection, row.job_id, row.destination)

    def _change(self, where: ColumnElement[bool], **values: Any) -> int:
        with self.database.write() as connection:
            return connection.execute(update(DELIVERY).where(where).values(values)).rowcount


def _first_job(connection: Connection, due: ColumnElement[bool]) -> str | None:
    # "urgent" comes after "routine" in the alphabet, which is all that the order needs.
    order = (DELIVERY.c.priority.desc(), DELIVERY.c.planned_at, DELIVERY.c.job_id)
    query = select(DELIVERY.c.job_id).where(due).order_by(*order).limit(1)
    return connection.execute(query).scalar()


def _these(references: Sequence[Reference]) -> ColumnElement[bool]:
    return DELIVERY.c.object_id.in_([one.sop_instance_uid for one in references])


def _after_failure(reason: int, due: datetime) -> dict[str, Any]:
    error = {"error_code": f"0x{reason:04X}", "error_message": "It did not commit to storage."}
    if reason == FailureReason.NO_SUCH_OBJECT:
        # It says itself that it does not have the object, whatever it confirmed before.
        waiting = {"state": DeliveryState.WAITING, "next_attempt_at": due, "sent_at": None}
        return {**waiting, "commitment_due_at": None, **error}
    return {"commitment_due_at": due, **error}


def _mark_retracted(connection: Connection, job_id: str, destination: str) -> None:
    those = and_(
        DELIVERY.c.job_id == job_id,
        DELIVERY.c.destination == destination,
        _STATE.in_((DeliveryState.SENT, DeliveryState.COMMITTED)),
        _NOT_A_NOTICE,
    )
    connection.execute(update(DELIVERY).where(those).values(state=DeliveryState.RETRACTED))
