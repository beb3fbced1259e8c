"""Which workers are present, by their last sign of life."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, select, update

from willis_service.adapters.storage.database import Database
from willis_service.adapters.storage.tables import WORKER


@dataclass(frozen=True)
class SqlWorkers:
    """The roll of workers."""

    database: Database

    def sign_in(self, worker_id: str, models: Sequence[str], now: datetime) -> None:
        """A worker is ready: its models are loaded and replayed."""
        values = {"id": worker_id, "started_at": now, "beat_at": now, "models": list(models)}
        with self.database.write() as connection:
            connection.execute(delete(WORKER).where(WORKER.c.id == worker_id))
            connection.execute(insert(WORKER).values(values))

    def beat(self, worker_id: str, now: datetime) -> None:
        """Store a sign of life."""
        with self.database.write() as connection:
            this = WORKER.c.id == worker_id
            connection.execute(update(WORKER).where(this).values(beat_at=now))

    def sign_out(self, worker_id: str) -> None:
        """The worker ends in good order."""
        with self.database.write() as connection:
            connection.execute(delete(WORKER).where(WORKER.c.id == worker_id))

    def forget(self, before: datetime) -> None:
        """Strike off the workers that were not heard of since."""
        with self.database.write() as connection:
            connection.execute(delete(WORKER).where(WORKER.c.beat_at < before))

    def count_present(self, since: datetime) -> int:
        """Workers heard of since this time."""
        with self.database.read() as connection:
            query = select(func.count()).where(WORKER.c.beat_at >= since)
            return connection.execute(query).scalar_one()
