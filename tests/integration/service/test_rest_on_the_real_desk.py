"""REST over the real desk, database and folders; nobody works, so jobs stay queued."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.signed_bundles import KEY, public
from tests.synthetic_ct import write_ct_series
from tests.toy_pipeline import toy_pipelines, write_toy_bundle
from willis_models.runtime.signature import sign_bundle
from willis_service.bootstrap.api import build_api
from willis_service.settings import Settings, api_key_path


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    settings = Settings(
        data_dir=tmp_path / "data",
        bundle_root=write_toy_bundle(tmp_path / "bundles"),
        require_signature=False,
        disk_reserve_mb=1,
    )
    app = build_api(settings, toy_pipelines)
    key = api_key_path(settings).read_text().strip()
    with TestClient(app, headers={"Authorization": f"Bearer {key}"}) as client:
        yield client


def zip_of(files: list[Path]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path in files:
            archive.write(path, f"study/{path.name}")
    return stream.getvalue()


def predict(client: TestClient, content: bytes, name: str = "study.zip"):
    return client.post(
        "/predict?wait_s=0", data={"pipeline": "toy"}, files={"files": (name, content)}
    )


def test_a_zip_becomes_one_job_however_often_it_is_sent(client, tmp_path):
    content = zip_of(write_ct_series(tmp_path / "study", shape=(12, 32, 32)))

    first, second = predict(client, content), predict(client, content)

    assert (first.status_code, second.status_code) == (202, 202)
    assert first.headers["Location"] == second.headers["Location"]
    assert len(client.get("/jobs").json()["jobs"]) == 1
    assert client.get(first.headers["Location"]).json()["state"] == "queued"


def test_a_study_is_asked_for_by_its_uid_once_it_was_received(client, tmp_path):
    content = zip_of(write_ct_series(tmp_path / "study", shape=(12, 32, 32)))
    job = predict(client, content).json()["job"]
    body = {"pipeline": "toy", "study_instance_uid": job["study_instance_uid"], "wait_s": 0}

    reply = client.post("/predict", json=body)

    assert reply.json()["job"]["id"] == job["id"]


def test_two_studies_in_one_upload_are_refused(client, tmp_path):
    files = [
        path
        for seed in ("1", "2")
        for path in write_ct_series(tmp_path / seed, shape=(3, 16, 16), seed=seed)
    ]

    reply = predict(client, zip_of(files))

    assert (reply.status_code, reply.json()["code"]) == (400, "BAD_UPLOAD")


def test_what_holds_no_image_is_a_bad_upload(client):
    reply = predict(client, b"Dear colleague", "letter.txt")

    assert (reply.status_code, reply.json()["code"]) == (400, "BAD_UPLOAD")


def test_without_broker_and_worker_it_is_not_ready_and_says_which_part(client):
    reply = client.get("/readyz")

    parts = reply.json()["parts"]
    assert reply.status_code == 503
    absent = {"broker", "worker", "keeper", "courier"}
    assert {name for name, state in parts.items() if state != "ok"} == absent


def test_models_and_pipelines_are_those_of_the_installation(client):
    assert client.get("/models").json()["models"][0]["name"] == "toy"
    assert client.get("/pipelines").json()["pipelines"][0]["name"] == "toy"


def test_models_say_which_is_live_and_who_signed_it(client: TestClient, tmp_path: Path) -> None:
    folder = tmp_path / "bundles" / "toy" / "1.0.0"
    before = client.get("/models").json()["models"]
    sign_bundle(folder, KEY)
    write_toy_bundle(tmp_path / "data" / "bundles", "2.0.0")

    after = client.get("/models").json()["models"]

    told = [(one["version"], one["role"], one["signature"]["state"]) for one in before]
    assert told == [("1.0.0", "live", "missing")]
    told = [(one["version"], one["role"], one["signature"]["state"]) for one in after]
    assert told == [("1.0.0", "live", "not trusted"), ("2.0.0", "none", "missing")]
    assert after[0]["signature"]["signer"] == public(KEY).key_id
