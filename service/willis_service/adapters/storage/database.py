"""The connection to the database, and the migrations that bring it up to date."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import InterfaceError, OperationalError

from willis_models.errors import DatabaseUnavailable

_BUSY_S = 30.0
_MIGRATION_LOCK = 0x5754_4C4C  # any constant; the same in every process
_READ_ONLY = {"willis_read_only": True}


@dataclass(frozen=True)
class Database:
    """One database, reached through a pool of connections. Make it with ``open_database``.

    Raises DatabaseUnavailable where it is away, or held by another writer for too long.
    """

    engine: Engine

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reading; it never waits for a writer."""
        with _absence_named(), self.engine.connect() as connection:
            yield connection.execution_options(**_READ_ONLY)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction, committed (and on disk) when the block ends without an error."""
        with _absence_named(), self.engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()


def open_database(url: str, busy_s: float = _BUSY_S) -> Database:
    """Open PostgreSQL or SQLite, whose folder is made when missing; its writers take turns."""
    parsed = make_url(url)
    # An error that is logged must not quote the values of its statement: some name a study (R46).
    if parsed.get_backend_name() != "sqlite":
        engine = create_engine(parsed, pool_pre_ping=True, max_overflow=32, hide_parameters=True)
        return Database(engine)
    if parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    busy = {"timeout": busy_s}
    engine = create_engine(parsed, connect_args=busy, max_overflow=64, hide_parameters=True)
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return Database(engine)


def migrate(database: Database) -> None:
    """Bring the tables up to date; processes that start together take turns."""
    with _one_at_a_time(database.engine), database.engine.connect() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_sqlite
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",  # NORMAL may lose the last commits when the power fails (R3)
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later would fail under a second writer; taking the
    # write lock at once makes it wait its turn instead.
    read_only = connection.get_execution_options().get("willis_read_only")
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


@contextmanager
def _absence_named() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise DatabaseUnavailable("The database does not answer: try again later.") from error


@contextmanager
def _one_at_a_time(engine: Engine) -> Iterator[None]:
    if engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _MIGRATION_LOCK})
            yield
        return
    with Path(f"{engine.url.database}.migrate").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
