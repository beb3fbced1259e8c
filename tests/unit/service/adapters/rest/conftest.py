from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.fake_desk import KEY, FakeDesk, an_app
from willis_service.adapters.rest.config import RestConfig, UploadLimits

LIMITS = UploadLimits(body_bytes=200_000, unpacked_bytes=300_000, files=5)


@pytest.fixture
def desk(tmp_path: Path) -> FakeDesk:
    folder = tmp_path / "results"
    folder.mkdir()
    return FakeDesk(folder)


@pytest.fixture
def config(tmp_path: Path) -> RestConfig:
    return RestConfig((KEY,), tmp_path / "uploads", sync_limit_s=5, uploads=LIMITS)


@pytest.fixture
def anonymous(desk: FakeDesk, config: RestConfig) -> Iterator[TestClient]:
    with TestClient(an_app(desk, config)) as client:
        yield client


@pytest.fixture
def client(anonymous: TestClient) -> TestClient:
    anonymous.headers["X-API-Key"] = KEY
    return anonymous
