"""Commits that don't wait for the disk, for rows that the intake journal would bring back.

Others see such a commit at once. When the power fails the latest of them may be gone, but never one
without all after it: what anybody built on them is gone with them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sqlalchemy import event, text

from willis_service.adapters.storage.database import Database, open_database
from willis_service.adapters.storage.files import sync


def open_lazy(url: str) -> Database:
    """The database over connections that commit lazily."""
    database = open_database(url)
    is_sqlite = database.engine.dialect.name == "sqlite"
    event.listen(database.engine, "connect", _lazy_sqlite if is_sqlite else _lazy_postgresql)
    return database


def flush(database: Database) -> None:
    """Make every commit so far durable, lazy ones included."""
    if database.engine.dialect.name == "sqlite":
        # One log holds the commits of all connections, in their order.
        log = Path(f"{os.fspath(database.engine.url.database or '')}-wal")
        if log.exists():
            sync(log)
        return
    with database.write() as connection:
        # A transaction waits for the log up to its end if it wrote something: this is the least.
        connection.execute(text("SELECT pg_logical_emit_message(true, 'willis', '')"))


def _lazy_sqlite(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")


def _lazy_postgresql(connection: Any, _record: Any) -> None:
    connection.execute("SET synchronous_commit TO off")
    connection.commit()
