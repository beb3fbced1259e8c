from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from willis_models.volume import Volume
from willis_training.curation.archive.pseudonyms import (
    KeyUnusable,
    Pseudonyms,
    age_band,
    read_or_make_key,
)
from willis_training.curation.archive.regular import RegularVolume
from willis_training.curation.archive.sidecar import is_harmless, sidecar


def test_the_same_key_gives_the_same_names_and_another_gives_others() -> None:
    one, same, other = Pseudonyms(b"k" * 32), Pseudonyms(b"k" * 32), Pseudonyms(b"q" * 32)
    ids = ("P1", "1.2", "1.2.3")
    assert one.case(*ids) == same.case(*ids)
    assert one.case(*ids) != other.case(*ids)
    assert one.case(*ids).subject == one.case("P1", "9", "9.9").subject
    assert one.case(*ids).subject != one.case("P2", "1.2", "1.2.3").subject


def test_the_names_of_files_say_nothing_and_are_valid_bids() -> None:
    name = Pseudonyms(b"k" * 32).case("P1", "1.2", "1.2.3")
    labels = (name.subject, name.session, name.series)
    assert all(label.isalnum() and label == label.lower() for label in labels)
    assert name.stem == f"sub-{name.subject}_ses-{name.session}_acq-{name.series}"
    assert "P1" not in name.stem


def test_a_key_is_never_shown() -> None:
    secret = Pseudonyms(b"\xab" * 32)
    assert "ab" * 4 not in repr(secret) and "\\xab" not in repr(secret)


def test_a_key_is_made_once_and_read_after(tmp_path: Path) -> None:
    path = tmp_path / "key"
    assert read_or_make_key(path) == read_or_make_key(path)
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", ["", "not hexadecimal", "abcd"])
def test_a_file_that_is_no_key_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key"
    path.write_text(content)
    with pytest.raises(KeyUnusable):
        read_or_make_key(path)


@pytest.mark.parametrize(
    ("age", "band"),
    [
        (70.0, "70-74"),
        (74.9, "70-74"),
        (89.9, "85-89"),
        (90.0, "90+"),
        (103.0, "90+"),
        (None, "n/a"),
    ],
)
def test_ages_become_bands(age: float | None, band: str) -> None:
    assert age_band(age) == band


def test_the_sidecar_has_what_is_listed_and_nothing_else() -> None:
    header = {
        "PatientID": "4711",
        "StudyDate": "20200101",
        "SeriesDescription": "HEAD OF MR SMITH",
        "KVP": 120.0,
        "Manufacturer": "SIEMENS",
        "ConvolutionKernel": "REF 12345678",
        "ImageType": ["ORIGINAL", "PRIMARY"],
        "PatientAge": "071Y",
    }
    image = RegularVolume(Volume(np.zeros((2, 2, 2), np.int16), np.eye(4)), True, False)

    document = sidecar(header, image, 3)

    assert document["KVP"] == 120.0 and document["Manufacturer"] == "SIEMENS"
    assert document["AgeBand"] == "70-74" and document["OverlayPlanes"] == 3
    assert "ConvolutionKernel" not in document
    assert not {"4711", "20200101", "HEAD OF MR SMITH"} & set(map(str, document.values()))


def test_values_that_look_like_identifiers_are_not_harmless() -> None:
    assert is_harmless("Br40d/3") and is_harmless("SOMATOM Definition AS+")
    assert (
        not is_harmless("123456") and not is_harmless("Müller^Hans") and not is_harmless("x" * 99)
    )
