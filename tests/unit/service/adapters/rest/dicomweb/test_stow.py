from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.fake_desk import an_app
from tests.fake_imaging import FakePixels, FakeRoom
from willis_service.adapters.rest.config import Imaging
from willis_service.adapters.rest.dicomweb.stow import CONFLICT_WARNING
from willis_service.domain.clients import ApiClient

RELATED = 'multipart/related; type="application/dicom"; boundary=b'
STORED, FAILED, OTHER = "00081199", "00081198", "0008119A"


def body(*parts: bytes, media_type: str = "application/dicom") -> bytes:
    head = f"--b\r\nContent-Type: {media_type}\r\n\r\n".encode()
    return b"".join(head + part + b"\r\n" for part in parts) + b"--b--\r\n"


def store(web: TestClient, content: bytes, path: str = "/dicomweb/studies", kind: str = RELATED):
    return web.post(path, content=content, headers={"Content-Type": kind})


def codes(reply, sequence: str, tag: str) -> list[int]:
    return [item[tag]["Value"][0] for item in reply.json()[sequence]["Value"]]


def test_what_is_stored_is_named_with_where_it_can_be_fetched(web, take):
    reply = store(web, body(b"DICM1.2.1", b"DICM1.2.2"))

    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/dicom+json")
    assert codes(reply, STORED, "00081155") == ["1.2.1", "1.2.2"]
    assert reply.json()["00081190"]["Value"] == ["http://testserver/dicomweb/studies/1.2.3"]
    assert take.taken == [(b"DICM1.2.1", "api", None), (b"DICM1.2.2", "api", None)]


def test_the_name_of_the_client_is_the_sender(desk, config, take, room):
    config = replace(config, api_clients=(ApiClient("ward-7", "a-key-of-ward-seven"),))
    app = an_app(desk, config, Imaging(room, take, FakePixels()))

    store(TestClient(app, headers={"X-API-Key": "a-key-of-ward-seven"}), body(b"DICM1.2.1"))

    assert [sender for _, sender, _ in take.taken] == ["ward-7"]


def test_failures_are_told_apart_and_the_rest_is_stored(web):
    reply = store(web, body(b"DICM1.2.1", b"a letter", b"DICMfull"))

    assert reply.status_code == 202
    assert codes(reply, STORED, "00081155") == ["1.2.1"]
    assert codes(reply, FAILED, "00081197") == [0xA700]
    assert codes(reply, OTHER, "00081197") == [0xC000]


def test_a_conflict_is_stored_with_a_warning(web):
    reply = store(web, body(b"DICMconflict"))

    assert reply.status_code == 202
    assert codes(reply, STORED, "00081196") == [CONFLICT_WARNING]


def test_nothing_stored_is_a_conflict(web):
    reply = store(web, body(b"a letter"))

    assert (reply.status_code, STORED in reply.json()) == (409, False)


def test_the_study_in_the_address_is_handed_on(web, take):
    store(web, body(b"DICM1.2.1"), "/dicomweb/studies/1.9")

    assert take.taken[0][2] == "1.9"


def test_without_room_nothing_is_read_and_the_sender_may_try_again(web, take):
    take.room = False

    reply = store(web, body(b"DICM1.2.1"))

    assert (reply.status_code, reply.json()["code"]) == (507, "STORAGE_FULL")
    assert "retry-after" in reply.headers
    assert take.taken == []


def test_a_disk_that_fills_up_before_the_first_object_is_a_transient_failure(web):
    assert store(web, body(b"DICMfull", b"DICMfull")).status_code == 507


@pytest.mark.parametrize(
    "kind",
    [
        "application/dicom",
        "multipart/form-data; boundary=b",
        'multipart/related; type="application/dicom+json"; boundary=b',
    ],
)
def test_another_kind_of_body_is_an_unsupported_media_type(web, kind):
    reply = store(web, body(b"DICM1.2.1"), kind=kind)

    assert (reply.status_code, reply.json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("content", [b"", b"--b\r\n", body(b"DICM1.2.1")[:-6], b"--c--\r\n"])
def test_a_body_that_is_cut_off_is_refused(web, content):
    assert store(web, content).status_code == 400


def test_what_came_whole_before_the_cut_is_kept(web, take):
    store(web, body(b"DICM1.2.1", b"DICM1.2.2")[:-12])

    assert [content for content, _, _ in take.taken] == [b"DICM1.2.1"]


def test_an_object_above_the_limit_fails_alone(desk, config, take, room):
    config = replace(config, object_bytes=16)
    app = an_app(desk, config, Imaging(room, take, FakePixels()))
    with TestClient(app, headers={"X-API-Key": config.api_keys[0]}) as web:
        reply = store(web, body(b"DICM" + b"1" * 100, b"DICM1.2.2"))

    assert reply.status_code == 202
    assert codes(reply, OTHER, "00081197") == [0x0213]
    assert codes(reply, STORED, "00081155") == ["1.2.2"]


def test_a_body_above_the_limit_is_refused_by_its_length_or_by_its_bytes(web, config):
    long = body(b"DICM1.2.1" + b" " * config.uploads.body_bytes)
    pieces = iter([long[i : i + 10_000] for i in range(0, len(long), 10_000)])

    declared = store(web, long)
    undeclared = web.post("/dicomweb/studies", content=pieces, headers={"Content-Type": RELATED})

    assert (declared.status_code, undeclared.status_code) == (413, 413)


def test_more_objects_than_one_request_may_bring_are_refused(web, config):
    parts = [b"DICM1.2.1"] * (config.uploads.files + 1)

    assert store(web, body(*parts)).status_code == 413


def test_nothing_stays_behind_in_the_upload_folder(web, config):
    store(web, body(b"DICM1.2.1", b"a letter"))
    store(web, body(b"DICM1.2.1")[:-6])

    assert list(Path(config.upload_folder).iterdir()) == []


def test_without_a_key_nothing_is_taken(anonymous, room: FakeRoom):
    reply = store(anonymous, body(b"DICM1.2.1"))

    assert (reply.status_code, reply.json()["code"]) == (401, "UNAUTHORIZED")
