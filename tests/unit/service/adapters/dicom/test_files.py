"""Files are grouped by what their headers say."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file

from tests.synthetic_ct import write_ct_series
from willis_service.adapters.dicom.files import read_header, scan

SMALL = (10, 16, 16)


def test_files_of_several_series_in_one_folder_are_told_apart_by_their_headers(
    tmp_path: Path,
) -> None:
    first = write_ct_series(tmp_path, shape=SMALL, seed="a", study_seed="s")
    second = write_ct_series(
        tmp_path, shape=SMALL, seed="b", study_seed="s", overrides={"SeriesNumber": 1}
    )

    listings = scan([tmp_path])

    assert [listing.series_number for listing in listings] == [1, 2]
    assert [set(listing.files) for listing in listings] == [set(second), set(first)]
    assert len({listing.study_instance_uid for listing in listings}) == 1


def test_headers_are_read_without_their_pixels(tmp_path: Path) -> None:
    (listing,) = scan(write_ct_series(tmp_path, shape=SMALL))

    assert len(listing.headers) == 10
    assert not any("PixelData" in header for header in listing.headers)


def test_files_that_are_no_dicom_come_last_in_a_listing_of_their_own(tmp_path: Path) -> None:
    write_ct_series(tmp_path, shape=SMALL)
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "empty.dcm").touch()

    *_, last = scan([tmp_path])

    assert not last.is_readable
    assert {path.name for path in last.files} == {"notes.txt", "empty.dcm"}


def test_a_dicomdir_tree_is_read_like_any_other_folder(tmp_path: Path) -> None:
    tree = Path(str(get_testdata_file("DICOMDIR"))).parent
    shutil.copytree(tree, tmp_path / "disc")

    listings = scan([tmp_path / "disc"])

    modalities = {listing.modality for listing in listings if listing.series_instance_uid}
    assert modalities == {"CT", "MR", "CR"}
    assert sum(not listing.series_instance_uid for listing in listings) >= 1


def test_a_file_without_preamble_and_meta_part_is_still_read(tmp_path: Path) -> None:
    path = write_ct_series(tmp_path, shape=SMALL, transfer_syntax="1.2.840.10008.1.2")[0]
    dataset = dcmread(path)
    bare = tmp_path / "bare"
    dataset.save_as(bare, implicit_vr=True, little_endian=True)
    _strip_meta(bare)

    header = read_header(bare)

    assert header is not None
    assert header.SeriesInstanceUID == dataset.SeriesInstanceUID


def _strip_meta(path: Path) -> None:
    """Leave the data set alone: it starts at the first element of group 0008."""
    data = path.read_bytes()
    path.write_bytes(data[data.index(b"\x08\x00\x05\x00") :])


@pytest.mark.parametrize("kept", [131, 140, 300, 700])
def test_a_header_that_breaks_off_is_unreadable_or_incomplete_but_never_a_crash(
    tmp_path: Path, kept: int
) -> None:
    path = write_ct_series(tmp_path, shape=SMALL)[0]
    path.write_bytes(path.read_bytes()[:kept])

    header = read_header(path)

    assert header is None or isinstance(header, Dataset)
    assert scan([path])


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 192", "Äbel^Örsted"),
        ("ISO_IR 100", "Müller^José"),
        ("GB18030", "王^小东"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    ],
)
def test_character_sets_survive(tmp_path: Path, character_set: str | list[str], name: str) -> None:
    overrides = {"SpecificCharacterSet": character_set, "PatientName": name}
    (listing,) = scan(write_ct_series(tmp_path, shape=SMALL, overrides=overrides))

    header = listing.headers[0]

    assert header.SpecificCharacterSet == character_set
    assert str(header.PatientName) == name
