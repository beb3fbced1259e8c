from __future__ import annotations

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from willis_service.adapters.rest.dicomweb.accept import (
    accepted,
    instance_form,
    require,
    takes_frame_as_stored,
)

JPEG_LS, IMPLICIT = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2"


def asking(*accept: str) -> Request:
    headers = [(b"accept", text.encode()) for text in accept]
    return Request({"type": "http", "headers": headers})


def test_the_most_wanted_comes_first_and_what_is_unwanted_not_at_all():
    request = asking('text/html;q=0.2, multipart/related; type="application/dicom"', "image/*;q=0")

    assert [one.media_type for one in accepted(request)] == ["multipart/related", "text/html"]


def test_a_comma_between_quotes_does_not_end_an_entry():
    request = asking('multipart/related; type="application/dicom, really", */*;q=nonsense')

    assert [one.inner for one in accepted(request)] == ["application/dicom, really"]


def test_a_client_that_says_nothing_takes_anything():
    assert require(asking(), "application/dicom+json") == "application/dicom+json"


def test_what_can_be_given_is_chosen_by_what_the_client_wants_most():
    request = asking("image/jpeg;q=0.5", "image/png")

    assert require(request, "image/jpeg", "image/png") == "image/png"


def test_what_nobody_can_give_is_not_acceptable():
    with pytest.raises(HTTPException) as raised:
        require(asking("text/html"), "image/png")

    assert raised.value.status_code == 406


@pytest.mark.parametrize(
    ("accept", "as_stored", "plain"),
    [
        ('multipart/related; type="application/dicom"', False, True),
        ('multipart/related; type="application/dicom"; transfer-syntax=*', True, False),
        (f"multipart/related; type=application/dicom; transfer-syntax={JPEG_LS}", True, False),
        (f"multipart/related; type=application/dicom; transfer-syntax={IMPLICIT}", False, False),
        ("*/*", True, False),
        ("multipart/*", False, True),
    ],
)
def test_objects_leave_in_the_syntaxes_that_are_accepted(accept, as_stored, plain):
    form = instance_form(asking(accept), 3)

    assert form.is_multipart
    assert (form.takes_as_stored(JPEG_LS), form.takes_plain) == (as_stored, plain)


def test_one_object_may_leave_alone_and_several_may_not():
    assert not instance_form(asking("application/dicom"), 1).is_multipart
    with pytest.raises(HTTPException):
        instance_form(asking("application/dicom"), 2)


@pytest.mark.parametrize(
    ("accept", "as_stored"),
    [
        ("*/*", False),
        ('multipart/related; type="application/octet-stream"', False),
        ("multipart/related; type=application/octet-stream; transfer-syntax=*", True),
        ('multipart/related; type="image/jls"', True),
        (f"multipart/related; type=image/jls; transfer-syntax={JPEG_LS}", True),
        ('multipart/related; type="image/jp2", multipart/related; type="image/jls"', True),
    ],
)
def test_a_compressed_frame_leaves_as_it_is_where_the_client_can_read_it(accept, as_stored):
    assert takes_frame_as_stored(asking(accept), JPEG_LS) is as_stored


def test_a_frame_in_a_type_that_it_is_not_in_is_not_acceptable():
    with pytest.raises(HTTPException):
        takes_frame_as_stored(asking('multipart/related; type="image/jp2"'), JPEG_LS)
