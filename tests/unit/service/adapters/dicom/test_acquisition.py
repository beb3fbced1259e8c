"""What the header says about contrast, body part, age and kernel."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom import Dataset

from willis_service.adapters.dicom.acquisition import (
    acquisition_of,
    body_part,
    contrast_agent,
    is_elsewhere,
)
from willis_service.adapters.dicom.headers import age_years, number, numbers, text
from willis_service.adapters.dicom.kernels import sharpness


def header(**values: Any) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.mark.parametrize(
    ("stated", "years"),
    [("068Y", 68.0), ("006M", 0.5), ("052W", 0.9966), ("010D", 0.0274), ("017Y", 17.0)],
)
def test_an_age_is_read_in_its_unit(stated: str, years: float) -> None:
    assert age_years(header(PatientAge=stated)) == pytest.approx(years, abs=1e-3)


@pytest.mark.parametrize(
    ("born", "examined", "years"),
    [
        ("20060115", "20240114", 17.0),
        ("20060115", "20240115", 18.0),
        ("19400301", "20240115", 83.0),
        ("20231215", "20240115", 0.085),
    ],
)
def test_without_a_stated_age_the_dates_tell_it_to_the_day(
    born: str, examined: str, years: float
) -> None:
    dates = header(PatientBirthDate=born, StudyDate=examined)

    assert age_years(dates) == pytest.approx(years, abs=1e-3)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"PatientBirthDate": "", "StudyDate": "20240115"},
        {"PatientBirthDate": "19500101", "StudyDate": ""},
        {"PatientBirthDate": "20300101", "StudyDate": "20240115"},
    ],
    ids=["nothing", "no birth date", "no study date", "born after the study"],
)
def test_an_age_that_is_not_known_is_none(values: dict[str, str]) -> None:
    assert age_years(header(**values)) is None


@pytest.mark.parametrize(
    ("values", "agent"),
    [
        ({"ContrastBolusAgent": "IOHEXOL 350"}, "IOHEXOL 350"),
        ({"ContrastBolusAgent": "", "ContrastBolusRoute": "IV"}, "IV"),
        ({"ContrastBolusVolume": "60"}, "60 mL"),
        ({"ContrastBolusAgent": "NONE"}, None),
        ({"ContrastBolusAgent": ""}, None),
        ({"ContrastBolusVolume": "0"}, None),
        ({}, None),
    ],
)
def test_contrast_is_what_the_header_says_about_it(
    values: dict[str, str], agent: str | None
) -> None:
    assert contrast_agent(header(**values)) == agent


def test_contrast_in_the_coded_sequence_counts() -> None:
    code = header(CodeValue="44588005", CodingSchemeDesignator="SCT", CodeMeaning="Iodine")

    assert contrast_agent(header(ContrastBolusAgentSequence=[code])) == "Iodine"


def test_contrast_in_a_single_image_counts_for_the_series() -> None:
    images = [header(Modality="CT"), header(Modality="CT", ContrastBolusAgent="IOHEXOL")]

    assert acquisition_of(images, 5.0, ()).contrast_agent == "IOHEXOL"


@pytest.mark.parametrize(
    ("part", "elsewhere"),
    [
        ("HEAD", False),
        ("BRAIN", False),
        ("HEADNECK", False),
        ("SCHAEDEL", False),
        (None, False),
        ("UNKNOWN WORD", False),
        ("CHEST", True),
        ("CSPINE", True),
        ("NECK", True),
        ("Abdomen", True),
    ],
)
def test_only_a_body_part_that_is_plainly_not_the_head_is_elsewhere(
    part: str | None, elsewhere: bool
) -> None:
    assert is_elsewhere(part) is elsewhere


def test_a_coded_region_stands_in_for_a_missing_body_part() -> None:
    region = header(CodeMeaning="Chest")
    anatomy = header(AnatomicRegionSequence=[region])
    frame = header(FrameAnatomySequence=[anatomy])

    assert body_part(header(SharedFunctionalGroupsSequence=[frame])) == "Chest"


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        ("STD+", "soft"),
        ("STANDARD", "soft"),
        ("BONEPLUS", "sharp"),
        ("H31s", "soft"),
        ("H60s", "sharp"),
        ("Hr40f", "soft"),
        ("Br64d", "sharp"),
        ("J40s", "soft"),
        ("UB", "soft"),
        ("YC", "sharp"),
        ("FC26", "soft"),
        ("FC64", "soft"),
        ("FC30", "sharp"),
        ("FC81", "sharp"),
        ("WHATEVER", "unknown"),
        (None, "unknown"),
    ],
)
def test_kernels_of_each_maker_are_told_apart(kernel: str | None, expected: str) -> None:
    assert sharpness(kernel) == expected


def test_values_that_are_absent_empty_or_malformed_read_as_none() -> None:
    broken = header(SeriesDescription="  ", PixelSpacing=None)
    broken.add_new("KVP", "DS", None)
    broken.add_new("SliceThickness", "LO", "thick")

    assert text(broken, "SeriesDescription") is None
    assert numbers(broken, "PixelSpacing") is None
    assert number(broken, "KVP") is None
    assert number(broken, "SliceThickness") is None
    assert text(broken, "StationName") is None
