from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from willis_training.curation.archive.rules import RulesInvalid, read_rules, shipped_rules_text
from willis_training.curation.archive.series import Series, age_years, series_of

PLAIN: dict[str, Any] = {
    "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
    "StudyInstanceUID": "1.2.3",
    "SeriesInstanceUID": "1.2.3.4",
    "Modality": "CT",
    "SeriesDescription": "HEAD 5MM",
    "ConvolutionKernel": "H31s",
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "Rows": 512.0,
    "SliceThickness": 5.0,
    "ImageOrientationPatient": [1.0, 0, 0, 0, 1.0, 0],
    "PatientAge": "071Y",
}


def series(count: int = 28, **changed: Any) -> Series:
    """A plain head CT, changed in some elements; None removes one."""
    header = {k: v for k, v in (PLAIN | changed).items() if v is not None}
    files = [
        (
            f"/archive/{k}",
            {
                **header,
                "SOPInstanceUID": f"1.2.3.4.{k}",
                **({"ImagePositionPatient": [0, 0, 5.0 * k]} if "Modality" in header else {}),
            },
        )
        for k in range(count)
    ]
    return series_of(files)


@pytest.fixture(scope="module")
def rules():
    return read_rules()


def test_a_plain_head_is_kept(rules) -> None:
    assert rules.reason_against(series()) is None


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"Modality": "MR"}, "wrong-modality"),
        ({"Modality": None}, "wrong-modality"),
        ({"Rows": None}, "not-an-image"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7.4"}, "secondary-capture"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.67"}, "dose-report"),
        ({"ConvolutionKernel": "H60s"}, "sharp-kernel"),
        ({"ConvolutionKernel": "FC30"}, "sharp-kernel"),
        ({"ContrastBolusAgent": "APPLIED"}, "contrast"),
        ({"SeriesDescription": "CTA HEAD"}, "contrast"),
        ({"SeriesDescription": "Head_C+"}, "contrast"),
        ({"BodyPartExamined": "CHEST"}, "not-a-head"),
        ({"LossyImageCompression": "01"}, "lossy-compression"),
        ({"NumberOfFrames": 30.0}, "multi-frame"),
        ({"ImageOrientationPatient": None}, "no-position"),
        ({"ImageOrientationPatient": [0, 1.0, 0, 0, 0, -1.0]}, "not-axial"),
        ({"SliceThickness": 10.0}, "thick-slices"),
        ({"PatientAge": "016Y"}, "under-age"),
        ({"BurnedInAnnotation": "YES"}, "burned-in-annotation"),
    ],
)
def test_what_does_not_fit_is_set_aside_with_its_reason(rules, changed, reason) -> None:
    assert rules.reason_against(series(**changed)) == reason


@pytest.mark.parametrize(
    "changed",
    [
        {"SeriesDescription": "HEAD WITHOUT CONTRAST"},
        {"SeriesDescription": "NON-CONTRAST HEAD BEFORE CTA"},
        {"ConvolutionKernel": "FC26"},
        {"ConvolutionKernel": None, "PatientAge": None, "BodyPartExamined": None},
        {"BodyPartExamined": "Brain"},
    ],
)
def test_silent_and_unusual_headers_do_not_speak_against_a_series(rules, changed) -> None:
    assert rules.reason_against(series(**changed)) is None


def test_too_few_slices_and_a_part_of_the_head_are_told_apart(rules) -> None:
    assert rules.reason_against(series(6)) == "too-few-slices"
    assert rules.reason_against(series(12)) == "part-of-the-head"


def test_copies_of_an_instance_count_once() -> None:
    files = [("/a", {**PLAIN, "SOPInstanceUID": "1"}), ("/b", {**PLAIN, "SOPInstanceUID": "1"})]
    one = series_of(files)
    assert one.paths == ("/a",) and one.copies == 1


def test_the_preferred_series_has_outlines_then_a_soft_kernel_then_thin_slices(rules) -> None:
    candidates = {
        "outlined": series(OverlayPlanes=3, SliceThickness=8.0),
        "soft and thin": series(SliceThickness=1.0),
        "soft": series(),
        "unknown kernel": series(ConvolutionKernel="X", SliceThickness=1.0),
    }
    assert sorted(candidates, key=lambda name: rules.rank(candidates[name])) == list(candidates)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("fact: modality", "fact: modalities", "no such fact"),
        ("any_of: [CT]", "any_off: [CT]", "Extra inputs"),
        ("matches: '^C(AUDATE)?$'", "matches: '^C(AUDATE?$'", "regular expression"),
        ("region: IC, side: by-position", "region: X, side: by-position", "no such region"),
        ("selection:", "selection: [", "parsing"),
    ],
)
def test_rules_that_mean_nothing_are_refused_before_any_work(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    text = shipped_rules_text()
    assert old in text
    path = tmp_path / "rules.yaml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(RulesInvalid, match=complaint):
        read_rules(path)


def test_a_rules_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RulesInvalid, match="nowhere"):
        read_rules(tmp_path / "nowhere.yaml")


def test_a_copy_of_the_shipped_rules_is_the_same_rules(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(shipped_rules_text())))
    assert read_rules(path).digest == read_rules().digest


@pytest.mark.parametrize(
    ("name", "region", "side"),
    [
        ("C L", "C", "left"),
        ("caudate_right", "C", "right"),
        ("IC-L", "IC", "left"),
        ("I R", "I", "right"),
        ("Insula L", "I", "left"),
        ("L L", "L", "left"),
        ("LENTIFORM R", "L", "right"),
        ("m5 r", "M5", "right"),
        ("M2", "M2", "by-position"),
    ],
)
def test_plane_names_become_regions(rules, name: str, region: str, side: str) -> None:
    meaning = rules.labels.meaning_of(name)
    assert (meaning.region, meaning.side) == (region, side)


def test_planes_of_something_else_mean_nothing(rules) -> None:
    assert rules.labels.meaning_of("SCALE BAR") is None
    assert rules.labels.meaning_of("") is None


@pytest.mark.parametrize(
    ("header", "age"),
    [
        ({"PatientAge": "018M"}, 1.5),
        ({"PatientAge": "?", "PatientBirthDate": "19500101", "StudyDate": "20200101"}, 70.0),
        ({"PatientBirthDate": "1950", "StudyDate": "20200101"}, None),
        ({}, None),
    ],
)
def test_an_age_is_read_or_computed_or_unknown(header, age) -> None:
    assert age_years(header) == (None if age is None else pytest.approx(age, abs=0.01))
