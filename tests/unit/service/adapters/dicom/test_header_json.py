from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian

from tests.synthetic_ct import write_ct_series
from willis_models.errors import DecodingError
from willis_service.adapters.dicom.header_json import read_file_header

BULK = "http://here/instances/1"


def deflated(folder: Path, pixel_bytes: int) -> Path:
    [path] = write_ct_series(folder, shape=(1, 8, 8))
    dataset = dcmread(path)
    dataset.PixelData = bytes(pixel_bytes)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(path)
    return path


def written(folder: Path, **elements: object) -> Path:
    def edit(_slice: int, dataset: Dataset) -> None:
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)

    [path] = write_ct_series(folder, shape=(1, 8, 8), edit=edit)
    return path


def test_a_header_says_what_the_object_is(tmp_path):
    path = written(tmp_path)

    header = read_file_header(path)

    dataset = dcmread(path)
    assert header.study_instance_uid == dataset.StudyInstanceUID
    assert header.sop_class_uid == dataset.SOPClassUID
    assert header.transfer_syntax_uid == dataset.file_meta.TransferSyntaxUID
    assert header.attributes["00100010"]["Value"] == [{"Alphabetic": "Phantom^Synthetic"}]


def test_pixels_are_an_address_and_never_in_the_header(tmp_path):
    path = written(tmp_path)

    assert "7FE00010" not in read_file_header(path).attributes
    assert read_file_header(path, BULK).attributes["7FE00010"] == {
        "vr": "OW",
        "BulkDataURI": f"{BULK}/bulkdata/7FE00010",
    }


def test_a_long_value_is_an_address_a_short_one_is_in_the_header(tmp_path):
    long = read_file_header(written(tmp_path / "a", ICCProfile=bytes(2000)), BULK).attributes
    short = read_file_header(written(tmp_path / "b", ICCProfile=bytes(20)), BULK).attributes

    assert long["00282000"]["BulkDataURI"] == f"{BULK}/bulkdata/00282000"
    assert "InlineBinary" in short["00282000"]


def test_a_long_value_inside_a_sequence_is_left_out(tmp_path):
    item = Dataset()
    item.ICCProfile = bytes(2000)
    item.SeriesDescription = "inside"
    path = written(tmp_path, OpticalPathSequence=[item])

    [inside] = read_file_header(path, BULK).attributes["00480105"]["Value"]

    assert inside["0008103E"]["Value"] == ["inside"]
    assert "BulkDataURI" not in inside["00282000"]


def test_what_json_and_databases_do_not_take_is_taken_off(tmp_path):
    path = written(tmp_path, ImageComments="before\0after", ReconstructionAngle=float("nan"))

    attributes = read_file_header(path).attributes

    assert attributes["00204000"]["Value"] == ["beforeafter"]
    assert attributes["00189319"]["Value"] == [None]
    json.dumps(attributes, allow_nan=False)


def test_of_a_deflated_object_only_the_header_is_inflated(tmp_path):
    path = deflated(tmp_path, pixel_bytes=64 * 2**20)
    assert path.stat().st_size < 2**20

    tracemalloc.start()
    header = read_file_header(path)
    _, highest = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert header.attributes["00100020"]["Value"] == ["SYN-1"]
    assert highest < 48 * 2**20


@pytest.mark.parametrize("content", [b"", b"a letter", bytes(128) + b"DICM", bytes(200)])
def test_what_is_no_object_has_no_header_worth_the_name(tmp_path, content):
    path = tmp_path / "odd.dcm"
    path.write_bytes(content)

    try:
        header = read_file_header(path)
    except DecodingError:
        return
    assert (header.study_instance_uid, header.sop_instance_uid) == ("", "")


def test_every_way_of_cutting_a_file_gives_a_header_or_says_that_there_is_none(tmp_path):
    content = written(tmp_path).read_bytes()
    cut = tmp_path / "cut.dcm"

    for length in range(0, len(content), 37):
        cut.write_bytes(content[:length])
        try:
            json.dumps(read_file_header(cut, BULK).attributes, allow_nan=False)
        except DecodingError:
            continue
