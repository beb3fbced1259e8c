from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from tests.fake_desk import KEY, FakeDesk, an_app
from tests.fake_imaging import FakePixels, FakeRoom, FakeTaker
from willis_service.adapters.rest.config import Imaging, RestConfig


@pytest.fixture
def room(desk: FakeDesk) -> FakeRoom:
    return FakeRoom(desk.folder)


@pytest.fixture
def take() -> FakeTaker:
    return FakeTaker()


@pytest.fixture
def pixels() -> FakePixels:
    return FakePixels()


@pytest.fixture
def web(
    desk: FakeDesk, config: RestConfig, room: FakeRoom, take: FakeTaker, pixels: FakePixels
) -> Iterator[TestClient]:
    app = an_app(desk, config, Imaging(room, take, pixels))
    with TestClient(app, headers={"X-API-Key": KEY}) as client:
        yield client
