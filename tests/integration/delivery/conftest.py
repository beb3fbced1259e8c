"""A rig on SQLite, and where asked for on PostgreSQL too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.archives import Archive
from tests.delivery_rig import Rig, archive_destination, open_rig


@pytest.fixture
def archive() -> Iterator[Archive]:
    with Archive() as running:
        yield running


@pytest.fixture
def rig(tmp_path: Path, archive: Archive) -> Iterator[Rig]:
    """One destination: the archive, named pacs."""
    opened = open_rig(tmp_path)
    opened.destinations = [archive_destination(archive.address)]
    yield opened
    opened.database.close()
