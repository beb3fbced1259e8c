from __future__ import annotations

from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from tests.fake_desk import KEY, an_app

GUARDED = ["/jobs", "/jobs/job-1", "/jobs/job-1/seg", "/models", "/pipelines", "/metrics"]


@pytest.mark.parametrize("path", GUARDED)
def test_without_a_key_nothing_is_told(anonymous, path):
    reply = anonymous.get(path)

    assert (reply.status_code, reply.json()["code"]) == (401, "UNAUTHORIZED")
    assert reply.headers["www-authenticate"] == "Bearer"


def test_without_a_key_nothing_is_taken(anonymous, desk, config):
    reply = anonymous.post("/predict", files={"f": ("a", b"x")}, data={"pipeline": "aspects"})

    assert (reply.status_code, desk.jobs) == (401, {})
    assert not config.upload_folder.exists()


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_need_no_key(anonymous, path):
    assert anonymous.get(path).status_code == 200


@pytest.mark.parametrize("headers", [{"X-API-Key": KEY}, {"Authorization": f"Bearer {KEY}"}])
def test_the_key_comes_as_header_or_bearer_token(anonymous, headers):
    assert anonymous.get("/jobs", headers=headers).status_code == 200


@pytest.mark.parametrize("key", ["", "wrong", KEY[:-1], KEY + "x"])
def test_a_key_that_is_nearly_right_is_wrong(anonymous, key):
    assert anonymous.get("/jobs", headers={"X-API-Key": key}).status_code == 401


def test_no_keys_at_all_lets_nobody_in_and_none_lets_everybody(desk, config):
    closed = TestClient(an_app(desk, replace(config, api_keys=())))
    opened = TestClient(an_app(desk, replace(config, api_keys=None)))

    assert closed.get("/jobs", headers={"X-API-Key": ""}).status_code == 401
    assert opened.get("/jobs").status_code == 200
