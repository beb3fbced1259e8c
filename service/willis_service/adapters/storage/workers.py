"""Which processes are present, by their last sign of life: workers, and the keeper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, insert, select, update

from willis_service.adapters.storage.database import Database
from willis_service.adapters.storage.tables import WORKER

WORKING = "worker"
KEEPING = "keeper"
DELIVERING = "courier"


@dataclass(frozen=True)
class SqlWorkers:
    """The roll of those who are there to work, in one role."""

    database: Database
    role: str = WORKING

    def sign_in(self, worker_id: str, models: Sequence[str], now: datetime) -> None:
        """Ready to work; a worker's models are loaded and replayed."""
        with self.database.write() as connection:
            connection.execute(delete(WORKER).where(WORKER.c.id == worker_id))
            connection.execute(insert(WORKER).values(self._row(worker_id, models, now)))

    def beat(self, worker_id: str, models: Sequence[str], now: datetime) -> None:
        """Store a sign of life.

        Who was struck off is there again: a clock that jumped, or a machine that slept, makes a
        process look lost that lives.
        """
        this = WORKER.c.id == worker_id
        with self.database.write() as connection:
            if connection.execute(update(WORKER).where(this).values(beat_at=now)).rowcount == 0:
                connection.execute(insert(WORKER).values(self._row(worker_id, models, now)))

    def sign_out(self, worker_id: str) -> None:
        """The end, in good order."""
        with self.database.write() as connection:
            connection.execute(delete(WORKER).where(WORKER.c.id == worker_id))

    def _row(self, worker_id: str, models: Sequence[str], now: datetime) -> dict[str, Any]:
        times = {"started_at": now, "beat_at": now}
        return {"id": worker_id, "role": self.role, "models": list(models), **times}

    def forget(self, before: datetime) -> None:
        """Strike off, in every role, who was not heard of since."""
        with self.database.write() as connection:
            connection.execute(delete(WORKER).where(WORKER.c.beat_at < before))

    def count_present(self, now: datetime, lost_after: timedelta) -> int:
        """How many were heard of lately."""
        query = select(func.count()).select_from(WORKER)
        with self.database.read() as connection:
            here = present(now, lost_after, self.role)
            return connection.execute(query.where(here)).scalar_one()


def present(now: datetime, lost_after: timedelta, role: str = WORKING) -> ColumnElement[bool]:
    """Whether a process of this role was heard of lately.

    A beat from the future was given before the clock was set back, and proves nothing.
    """
    heard = WORKER.c.beat_at.between(now - lost_after, now + lost_after)
    return and_(WORKER.c.role == role, heard)
