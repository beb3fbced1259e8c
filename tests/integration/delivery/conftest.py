"""A rig on SQLite, and where asked for on PostgreSQL too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.archives import Archive
from tests.delivery_rig import Rig, archive_destination, open_rig
from willis_service.adapters.storage.tables import METADATA


@pytest.fixture
def archive() -> Iterator[Archive]:
    with Archive() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def rig_on_each_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    """No destination; the database is empty again afterwards."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    opened = open_rig(tmp_path, url)
    yield opened
    with opened.database.write() as connection:
        for table in reversed(METADATA.sorted_tables):
            connection.execute(table.delete())
    opened.database.close()


@pytest.fixture
def rig(tmp_path: Path, archive: Archive) -> Iterator[Rig]:
    """One destination: the archive, named pacs."""
    opened = open_rig(tmp_path)
    opened.destinations = [archive_destination(archive.address)]
    yield opened
    opened.database.close()
