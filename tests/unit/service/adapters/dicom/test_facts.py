"""A source header as the facts that a report prints."""

from __future__ import annotations

import pytest
from pydicom import Dataset

from willis_service.adapters.dicom.facts import study_facts
from willis_service.domain.study_facts import StudyFacts


def _header(**values: str) -> Dataset:
    header = Dataset()
    for keyword, value in values.items():
        setattr(header, keyword, value)
    return header


def test_what_the_source_leaves_out_is_none() -> None:
    assert study_facts(_header(PatientID="", StudyDate="")) == StudyFacts()


@pytest.mark.parametrize(
    ("stored", "printed"),
    [
        ("Doe^Jane", "Doe, Jane"),
        ("Doe^Jane^Mary^Dr", "Doe, Jane Mary Dr"),
        ("Yamada^Tarou=山田^太郎", "Yamada, Tarou / 山田, 太郎"),
        ("REMOVED", "REMOVED"),
    ],
)
def test_names_are_written_for_a_reader(stored: str, printed: str) -> None:
    assert study_facts(_header(PatientName=stored)).patient_name == printed


def test_the_acquisition_time_is_the_most_specific_that_is_stated() -> None:
    study = {"StudyDate": "20240115", "StudyTime": "101112"}
    acquisition = {"AcquisitionDate": "20240116", "AcquisitionTime": "0005"}

    assert study_facts(_header(**study)).acquired_at == "2024-01-15 10:11"
    assert study_facts(_header(**study, **acquisition)).acquired_at == "2024-01-16 00:05"
    moment = {"AcquisitionDateTime": "20240117123456.5"}
    assert study_facts(_header(**study, **moment)).acquired_at == "2024-01-17 12:34"


def test_scanner_and_series_are_named() -> None:
    facts = study_facts(
        _header(Manufacturer="GE", ManufacturerModelName="HiSpeed", SeriesDescription="HEAD")
    )

    assert (facts.scanner, facts.series_description) == ("GE HiSpeed", "HEAD")
