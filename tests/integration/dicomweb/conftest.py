from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dicomweb_site import Site, a_site
from tests.synthetic_ct import write_ct_series


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with a_site(tmp_path) as site:
        yield site


@pytest.fixture
def head(tmp_path: Path) -> list[Path]:
    """A small head CT that the toy pipeline analyses."""
    return write_ct_series(tmp_path / "head", shape=(12, 32, 32))
