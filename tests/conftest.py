"""Fixtures for every test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the working tree."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared() -> Path:
    """The reference samples and atlases, which are not part of the repository."""
    folder = Path(os.environ.get("WILLIS_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "samples").is_dir():
        pytest.skip(f"no reference data at {folder} (set WILLIS_SHARED)")
    return folder


@pytest.fixture(scope="session")
def demo_study() -> Path:
    """The simulated study that ships with Willis."""
    from willis_service.commands.demo_study import find_demo_study

    return find_demo_study()
