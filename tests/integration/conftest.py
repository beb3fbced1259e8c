"""The database as it is in operation: SQLite always, PostgreSQL where its server is installed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import postgres, put_empty_sqlite
from willis_service.adapters.storage.database import Database, migrate, open_database
from willis_service.adapters.storage.tables import METADATA


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    # pytest's own folders are closed to the database's user; this one is not below them.
    with tempfile.TemporaryDirectory() as folder, postgres(Path(folder)) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        url = put_empty_sqlite(tmp_path / "willis.sqlite")
    else:
        url = request.getfixturevalue("postgres_url")
    opened = open_database(url)
    migrate(opened)
    yield opened
    with opened.write() as connection:
        for table in reversed(METADATA.sorted_tables):
            connection.execute(table.delete())
    opened.close()
