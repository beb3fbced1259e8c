from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.training.datasets.isles24.tree import copy_of
from willis_training.datasets.isles24.example import write_example


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six cases without the series; read only."""
    return write_example(tmp_path_factory.mktemp("isles24"), 6, with_series=False)


@pytest.fixture(scope="session")
def with_series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One case with its series; read only."""
    return write_example(tmp_path_factory.mktemp("isles24_series"), 1)


@pytest.fixture
def train(with_series: Path, tmp_path: Path) -> Path:
    """One case that a test may spoil."""
    return copy_of(with_series, tmp_path)
