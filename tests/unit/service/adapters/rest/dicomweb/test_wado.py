from __future__ import annotations

from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from tests import fake_imaging
from tests.fake_desk import KEY, an_app
from willis_service.adapters.rest.dicomweb.accept import EXPLICIT_VR_LITTLE_ENDIAN

IMAGE = "/dicomweb/studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.1"
RESULT = "/dicomweb/studies/1.2.3/series/1.2.3.2/instances/1.2.3.2.1"
OBJECTS = 'multipart/related; type="application/dicom"; transfer-syntax=*'
FRAMES = "multipart/related; type=application/octet-stream; transfer-syntax=*"
JPEG_LS = "1.2.840.10008.1.2.4.80"


def get(web: TestClient, path: str, accept: str = "*/*"):
    return web.get(path, headers={"Accept": accept})


def parts(reply) -> list[bytes]:
    boundary = reply.headers["content-type"].rpartition("boundary=")[2].encode()
    pieces = reply.content.split(b"--" + boundary)
    assert pieces[-1] == b"--\r\n"
    return [piece.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for piece in pieces[1:-1]]


def test_a_study_is_every_object_in_it_images_and_results(web):
    reply = get(web, "/dicomweb/studies/1.2.3", OBJECTS)

    assert parts(reply) == [b"image", b"result"]
    assert "no-store" in reply.headers["cache-control"]


def test_a_series_and_an_instance_are_fetched_by_their_address(web):
    assert parts(get(web, "/dicomweb/studies/1.2.3/series/1.2.3.2")) == [b"result"]
    assert parts(get(web, IMAGE)) == [b"image"]


def test_one_instance_can_be_had_without_an_envelope(web):
    reply = get(web, IMAGE, "application/dicom")

    assert reply.content == b"image"
    assert reply.headers["content-type"].startswith("application/dicom")


def test_an_object_in_another_syntax_is_converted_where_the_client_needs_that(web, monkeypatch):
    stored = replace(fake_imaging.IMAGE, transfer_syntax_uid=JPEG_LS)
    monkeypatch.setattr(fake_imaging, "IMAGE", stored)

    plain = get(web, IMAGE, 'multipart/related; type="application/dicom"')
    as_stored = get(web, IMAGE, OBJECTS)

    assert parts(plain)[0].startswith(b"plain ")
    assert f"transfer-syntax={EXPLICIT_VR_LITTLE_ENDIAN}".encode() in plain.content
    assert f"transfer-syntax={JPEG_LS}".encode() in as_stored.content


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        'multipart/related; type="application/dicom+xml"',
        f'multipart/related; type="application/dicom"; transfer-syntax={JPEG_LS}',
    ],
)
def test_what_can_not_be_given_is_not_acceptable(web, accept):
    reply = get(web, IMAGE, accept)

    assert (reply.status_code, reply.json()["code"]) == (406, "NOT_ACCEPTABLE")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/dicomweb/studies/1.9", "UNKNOWN_STUDY"),
        ("/dicomweb/studies/1.9/metadata", "UNKNOWN_STUDY"),
        ("/dicomweb/studies/1.2.3/series/1.9", "UNKNOWN_OBJECT"),
        ("/dicomweb/studies/1.2.3/series/1.2.3.1/instances/1.9", "UNKNOWN_OBJECT"),
        (f"{IMAGE}/frames/9", "UNKNOWN_OBJECT"),
        (f"{IMAGE}/bulkdata/00091002", "UNKNOWN_OBJECT"),
    ],
)
def test_what_is_not_held_is_unknown(web, path, code):
    reply = get(web, path)

    assert (reply.status_code, reply.json()["code"]) == (404, code)


def test_headers_name_where_their_pixels_lie(web):
    [header] = get(web, f"{IMAGE}/metadata").json()

    assert header["7FE00010"]["BulkDataURI"] == f"http://testserver{IMAGE}/bulkdata/7FE00010"
    assert len(get(web, "/dicomweb/studies/1.2.3/metadata").json()) == 2


def test_frames_come_in_the_order_in_which_they_were_asked_for(web):
    assert parts(get(web, f"{IMAGE}/frames/3,1", FRAMES)) == [b"frame 3", b"frame 1"]


def test_frames_say_how_they_are_encoded(web, pixels):
    pixels.syntax = JPEG_LS

    reply = get(web, f"{IMAGE}/frames/1", FRAMES)

    assert f"Content-Type: image/jls;transfer-syntax={JPEG_LS}".encode() in reply.content


@pytest.mark.parametrize("frames", ["0", "1,,2", "one", "1-3"])
def test_a_list_of_frames_that_is_none_is_refused(web, frames):
    assert get(web, f"{IMAGE}/frames/{frames}").status_code == 422


def test_long_values_come_in_an_envelope_or_alone(web):
    path = f"{IMAGE}/bulkdata/7FE00010"

    assert parts(get(web, path, "multipart/related")) == [b"pixels"]
    assert get(web, path, "application/octet-stream").content == b"pixels"


def test_a_picture_is_in_the_form_that_the_client_wants(web):
    assert get(web, f"{IMAGE}/rendered", "image/jpeg").content == b"image/jpeg"
    assert get(web, f"{IMAGE}/frames/1/rendered", "image/*").content == b"image/png"


def test_what_has_no_picture_is_not_acceptable_as_one(web):
    assert get(web, f"{RESULT}/rendered").status_code == 406


def test_without_a_key_nothing_is_shown(anonymous):
    for path in (IMAGE, f"{IMAGE}/metadata", f"{IMAGE}/frames/1", "/dicomweb/studies"):
        assert anonymous.get(path).status_code == 401


def test_pages_from_elsewhere_are_let_in_only_where_the_settings_name_them(desk, config):
    ask = {"Origin": "https://viewer.example", "Access-Control-Request-Method": "GET"}
    named = replace(config, cors_origins=("https://viewer.example",))

    closed = TestClient(an_app(desk, config)).options("/dicomweb/studies", headers=ask)
    opened = TestClient(an_app(desk, named))

    allowed = opened.options("/dicomweb/studies", headers=ask)
    other = opened.options("/dicomweb/studies", headers={**ask, "Origin": "https://evil.example"})
    read = opened.get("/dicomweb/studies", headers={**ask, "X-API-Key": KEY})
    assert "access-control-allow-origin" not in closed.headers
    assert allowed.headers["access-control-allow-origin"] == "https://viewer.example"
    assert "access-control-allow-origin" not in other.headers
    assert read.headers["access-control-allow-origin"] == "https://viewer.example"
    assert opened.get("/dicomweb/studies", headers=ask).status_code == 401
