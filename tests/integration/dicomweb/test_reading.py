"""Searches by what headers say, in any script; pixels in the form that a client can read."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from tests.dicomweb_site import Site, a_site
from tests.synthetic_ct import write_ct_series

RELATED = 'multipart/related; type="application/dicom"; boundary=b'
IN_SCRIPTS = {
    "kanji": (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    "hangul": (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    "chinese": ("GB18030", "Wang^XiaoDong=王^小东"),
    "unicode": ("ISO_IR 192", "Wang^XiaoDong=王^小東"),
    "german": ("ISO_IR 100", "Äneas^Rüdiger"),
    "greek": ("ISO_IR 126", "Διονυσιος"),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One for all tests here: each has studies of its own."""
    with a_site(tmp_path_factory.mktemp("reading")) as site:
        yield site


def write(folder: Path, seed: str = "1", slices: int = 1, **given: object) -> list[Path]:
    """A series of its own in each test."""
    own = f"{folder.name}-{seed}"
    return write_ct_series(folder / seed, shape=(slices, 32, 48), seed=own, **given)


def post(site, files: list[Path]) -> None:
    """The bytes as they are: a client library would encode them anew."""
    head = b"--b\r\nContent-Type: application/dicom\r\n\r\n"
    body = b"".join(head + path.read_bytes() + b"\r\n" for path in files) + b"--b--\r\n"
    headers = {"Content-Type": RELATED}
    site.session.post(f"{site.url}/dicomweb/studies", data=body, headers=headers).raise_for_status()


def uids(path: Path) -> tuple[str, str, str]:
    header = dcmread(path)
    return header.StudyInstanceUID, header.SeriesInstanceUID, header.SOPInstanceUID


@pytest.mark.parametrize("script", IN_SCRIPTS)
def test_a_name_in_any_script_is_found_and_given_in_utf_8(site, tmp_path, script):
    character_set, name = IN_SCRIPTS[script]
    overrides = {"SpecificCharacterSet": character_set, "PatientName": name}
    [path] = write(tmp_path, overrides=overrides)
    raw = path.read_bytes()
    post(site, [path])

    last = name.rpartition("=")[2]
    filters = {"PatientName": f"{last[:1]}*", "StudyInstanceUID": uids(path)[0]}
    found = site.client.search_for_studies(search_filters=filters)
    [header] = site.client.retrieve_study_metadata(uids(path)[0])

    for json in (*found, header):
        groups = json["00100010"]["Value"][0]
        given = [groups.get(key, "") for key in ("Alphabetic", "Ideographic", "Phonetic")]
        assert "=".join(given).rstrip("=") == name
    assert len(found) == 1
    assert header["00080005"]["Value"] == ["ISO_IR 192"]
    [stored] = site.toy.core.studies.instances(uids(path)[0])
    assert site.toy.core.folder.path_of(stored.path).read_bytes() == raw


@pytest.fixture(scope="module")
def two_studies(site, tmp_path_factory) -> tuple[str, str]:
    tmp_path = tmp_path_factory.mktemp("two")
    one = write(
        tmp_path,
        "1",
        overrides={
            "PatientID": "A_1",
            "PatientName": "Anders^Eva",
            "AccessionNumber": "ACC1",
            "StudyDate": "19990115",
            "StudyDescription": "CT Head",
        },
    )
    other = write(
        tmp_path,
        "2",
        overrides={
            "PatientID": "AB1",
            "PatientName": "Öberg^Åsa",
            "AccessionNumber": "ACC2",
            "StudyDate": "19990220",
            "StudyDescription": "MR Spine",
            "Modality": "MR",
        },
    )
    post(site, [*one, *other])
    return uids(one[0])[0], uids(other[0])[0]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"PatientID": "A_1"}, [0]),
        ({"PatientID": "A_?"}, [0]),
        ({"PatientID": "A*"}, [0, 1]),
        ({"PatientID": "a_1"}, []),
        ({"PatientName": "anders*"}, [0]),
        ({"PatientName": "*EVA"}, [0]),
        ({"PatientName": "öberg*"}, [1]),
        ({"AccessionNumber": "ACC2"}, [1]),
        ({"StudyDate": "19990115"}, [0]),
        ({"StudyDate": "19990101-19990131"}, [0]),
        ({"StudyDate": "19990201-19991231"}, [1]),
        ({"StudyDate": "-19990201"}, [0]),
        ({"StudyDescription": "*spine*"}, [1]),
        ({"ModalitiesInStudy": "MR"}, [1]),
        ({"ModalitiesInStudy": "SEG"}, []),
        ({"StudyDate": "19990220-", "PatientID": "A*"}, [1]),
        ({"PatientID": "A*", "StudyDate": "19990220"}, [1]),
    ],
)
def test_studies_are_found_by_what_their_headers_say(site, two_studies, filters, expected):
    found = site.client.search_for_studies(search_filters=filters)

    assert {one["0020000D"]["Value"][0] for one in found} == {two_studies[k] for k in expected}


def test_studies_are_found_by_a_list_of_uids(site, two_studies):
    listed = ",".join(two_studies)

    assert len(site.client.search_for_studies(search_filters={"StudyInstanceUID": listed})) == 2


def test_series_and_instances_are_found_across_studies(site, two_studies):
    series = site.client.search_for_series(search_filters={"Modality": "MR"})
    instances = site.client.search_for_instances(search_filters={"PatientID": "A_1"})

    assert [one["0020000D"]["Value"][0] for one in series] == [two_studies[1]]
    assert series[0]["00100020"]["Value"] == ["AB1"]
    assert [one["0020000D"]["Value"][0] for one in instances] == [two_studies[0]]
    assert instances[0]["00280011"]["Value"] == [48]


def test_a_series_that_comes_later_is_found_in_its_study(site, tmp_path):
    first = write(tmp_path, "1", study_seed="later")
    post(site, first)
    assert len(site.client.search_for_series(uids(first[0])[0])) == 1

    later = write(tmp_path, "2", study_seed="later", overrides={"SeriesDescription": "CTA 0.6"})
    post(site, later)

    found = site.client.search_for_series(
        uids(first[0])[0], search_filters={"SeriesDescription": "cta*"}
    )
    assert [one["0020000E"]["Value"][0] for one in found] == [uids(later[0])[1]]


def test_pages_of_a_search_follow_each_other_without_gap_or_overlap(site, tmp_path):
    files = [write(tmp_path, str(number))[0] for number in range(5)]
    post(site, files)
    filters = {"StudyInstanceUID": ",".join(uids(path)[0] for path in files)}

    pages = [
        site.client.search_for_studies(limit=2, offset=start, search_filters=filters)
        for start in (0, 2, 4)
    ]

    assert [len(page) for page in pages] == [2, 2, 1]
    assert len({one["0020000D"]["Value"][0] for page in pages for one in page}) == 5


COMPRESSED = (JPEGLSLossless, JPEG2000Lossless, RLELossless, JPEGLosslessSV1)
PLAIN = 'multipart/related; type="application/dicom"'


@pytest.mark.parametrize(
    "syntax",
    [
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        DeflatedExplicitVRLittleEndian,
        *COMPRESSED,
    ],
)
def test_a_client_without_a_wish_gets_explicit_little_endian_with_the_same_pixels(
    site, tmp_path, syntax
):
    [path] = write(tmp_path, transfer_syntax=syntax)
    post(site, [path])

    fetched = site.client.retrieve_instance(*uids(path), media_types=("application/dicom",))

    original = dcmread(path)
    assert fetched.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert np.array_equal(fetched.pixel_array, original.pixel_array)
    assert fetched.SOPInstanceUID == original.SOPInstanceUID


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, JPEGLSLossless, ExplicitVRBigEndian])
def test_a_client_that_takes_any_syntax_gets_the_bytes_as_they_are_stored(site, tmp_path, syntax):
    [path] = write(tmp_path, transfer_syntax=syntax)
    post(site, [path])

    reply = site.get(_instance(path), PLAIN + "; transfer-syntax=*")

    assert path.read_bytes() in reply.content


def test_big_endian_is_given_as_it_is_stored_or_not_at_all(site, tmp_path):
    [path] = write(tmp_path, transfer_syntax=ExplicitVRBigEndian)
    post(site, [path])

    reply = site.get(_instance(path), PLAIN)

    assert (reply.status_code, reply.json()["code"]) == (406, "NOT_ACCEPTABLE")


def _instance(path: Path) -> str:
    study, series, sop = uids(path)
    return f"/dicomweb/studies/{study}/series/{series}/instances/{sop}"


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian, *COMPRESSED])
def test_frames_come_decoded_for_a_client_that_reads_no_compression(site, tmp_path, syntax):
    [path] = write(tmp_path, transfer_syntax=syntax)
    post(site, [path])

    frames = site.client.retrieve_instance_frames(
        *uids(path), frame_numbers=[1], media_types=("application/octet-stream",)
    )

    assert np.array_equal(
        np.frombuffer(frames[0], "<i2").reshape(32, 48), dcmread(path).pixel_array
    )


def test_frames_come_as_they_are_stored_for_a_client_that_takes_any_syntax(site, tmp_path):
    [path] = write(tmp_path, transfer_syntax=JPEGLSLossless)
    post(site, [path])
    accept = "multipart/related; type=application/octet-stream; transfer-syntax=*"

    reply = site.get(f"{_instance(path)}/frames/1", accept)

    assert b"Content-Type: image/jls;transfer-syntax=1.2.840.10008.1.2.4.80" in reply.content
    assert b"\xff\xd8\xff" in reply.content


def test_frames_of_a_multi_frame_object_are_taken_by_number(site, tmp_path):
    [path] = write(tmp_path, slices=4, enhanced=True)
    post(site, [path])

    frames = site.client.retrieve_instance_frames(*uids(path), frame_numbers=[4, 2])

    pixels = dcmread(path).pixel_array
    assert [np.frombuffer(one, "<i2").tobytes() for one in frames] == [
        pixels[3].tobytes(),
        pixels[1].tobytes(),
    ]


def test_the_address_in_a_header_leads_to_the_pixels(site, tmp_path):
    [path] = write(tmp_path)
    post(site, [path])
    [header] = site.client.retrieve_study_metadata(uids(path)[0])

    [pixels] = site.client.retrieve_bulkdata(header["7FE00010"]["BulkDataURI"])

    assert pixels == dcmread(path).PixelData


@pytest.mark.parametrize(("media_type", "form"), [("image/png", "PNG"), ("image/jpeg", "JPEG")])
def test_a_picture_shows_the_window_of_the_header(site, tmp_path, media_type, form):
    window = {"WindowCenter": "40", "WindowWidth": "80"}
    [path] = write(tmp_path, overrides=window)
    post(site, [path])

    picture = Image.open(io.BytesIO(site.get(f"{_instance(path)}/rendered", media_type).content))

    original = dcmread(path)
    hu = original.pixel_array + float(original.RescaleIntercept)
    shown = np.asarray(picture)
    assert (picture.format, picture.size) == (form, (48, 32))
    if form == "PNG":
        assert (shown[hu <= 0] == 0).all() and (shown[hu >= 80] == 255).all()


def test_an_object_whose_header_is_odd_stays_findable_and_retrievable(site, tmp_path):
    def spoil(_slice: int, dataset: Dataset) -> None:
        dataset.add_new(0x00091001, "LO", "private without creator")
        dataset.add_new(0x00200032, "DS", "")
        dataset.WindowCenter = "40"

    [path] = write(tmp_path, edit=spoil)
    post(site, [path])

    assert len(site.client.search_for_instances(uids(path)[0])) == 1
    assert site.client.retrieve_instance(*uids(path)).SOPInstanceUID == uids(path)[2]
