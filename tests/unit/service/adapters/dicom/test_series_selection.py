"""The best series takes the role; every other one is set aside with a code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import (
    BasicTextSRStorage,
    SecondaryCaptureImageStorage,
    XRayRadiationDoseSRStorage,
    generate_uid,
)

from tests.synthetic_ct import SAGITTAL, write_ct_series
from willis_models.errors import (
    ColourPixels,
    ContrastGiven,
    GeometryError,
    LossyPixels,
    NoSuitableSeries,
    NotAHead,
    TooFewSlices,
    UnsuitableSeries,
    WillisError,
    WrongModality,
)
from willis_models.pipelines.base import Role
from willis_service.adapters.dicom.files import scan
from willis_service.adapters.dicom.series_selection import Selection, select_series

NCCT = Role("ncct", "CT", "non-contrast head CT")
SHAPE = (12, 16, 16)


class Study:
    """A folder to which series are added, numbered from 1."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0

    def add(self, **options: Any) -> int:
        """Add a series and return its number."""
        self.count += 1
        overrides = {"SeriesNumber": self.count, **options.pop("overrides", {})}
        where, seed = self.folder / str(self.count), str(self.count)
        options = {"shape": SHAPE, "seed": seed, "study_seed": "study", **options}
        write_ct_series(where, overrides=overrides, **options)
        return self.count

    def add_object(self, sop_class: str, modality: str) -> int:
        """Add an object without image, such as a report."""
        self.count += 1
        dataset = Dataset()
        dataset.SOPClassUID, dataset.Modality = sop_class, modality
        dataset.SOPInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
        dataset.StudyInstanceUID = generate_uid(entropy_srcs=["study", "study"])
        dataset.SeriesNumber = self.count
        path = self.folder / f"{self.count}.dcm"
        dataset.save_as(path, implicit_vr=False, little_endian=True)
        return self.count

    def select(self, *roles: Role) -> Selection:
        return select_series(scan([self.folder]), roles or (NCCT,))


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(tmp_path)


def codes(selection: Selection) -> dict[int | None, str]:
    return {aside.series_number: aside.code for aside in selection.set_aside}


def chosen_number(selection: Selection) -> int | None:
    return selection.chosen["ncct"].listing.series_number


UNSUITABLE: dict[str, tuple[dict[str, Any], type[WillisError]]] = {
    "contrast": ({"overrides": {"ContrastBolusAgent": "IOHEXOL"}}, ContrastGiven),
    "angiography": ({"overrides": {"SeriesDescription": "CTA HEAD 1MM"}}, ContrastGiven),
    "lossy": ({"overrides": {"LossyImageCompression": "01"}}, LossyPixels),
    "colour": ({"overrides": {"PhotometricInterpretation": "PALETTE COLOR"}}, ColourPixels),
    "chest": ({"overrides": {"BodyPartExamined": "CHEST"}}, NotAHead),
    "MR": ({"overrides": {"Modality": "MR"}}, WrongModality),
    "few": ({"shape": (9, 16, 16)}, TooFewSlices),
    "few frames": ({"shape": (9, 16, 16), "enhanced": True}, TooFewSlices),
    "iodine map": ({"overrides": {"RescaleType": "mg/ml"}}, UnsuitableSeries),
    "placeless": ({"overrides": {"PixelSpacing": None}}, GeometryError),
}


@pytest.mark.parametrize(("options", "error"), UNSUITABLE.values(), ids=UNSUITABLE.keys())
def test_a_series_that_does_not_fit_is_set_aside_with_the_code_of_its_error(
    study: Study, options: dict[str, Any], error: type[WillisError]
) -> None:
    good, bad = study.add(), study.add(**options)

    selection = study.select()

    assert chosen_number(selection) == good
    assert codes(selection) == {bad: error.code}


@pytest.mark.parametrize(("options", "error"), UNSUITABLE.values(), ids=UNSUITABLE.keys())
def test_one_reason_against_all_candidates_is_raised_as_its_own_error(
    study: Study, options: dict[str, Any], error: type[WillisError]
) -> None:
    study.add(**options)
    study.add(**options)
    study.add(shape=(1, 16, 16), overrides={"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]})

    with pytest.raises(error) as raised:
        study.select()

    assert type(raised.value) is error
    assert "Series 1" in raised.value.message


SET_ASIDE: dict[str, tuple[dict[str, Any], str]] = {
    "localizer": ({"overrides": {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}}, "LOCALIZER"),
    "projection": ({"overrides": {"ImageType": ["DERIVED", "SECONDARY", "MIP"]}}, "DERIVED_IMAGE"),
    "sagittal": ({"orientation": SAGITTAL}, "NOT_AXIAL"),
    "coronal": ({"orientation": (1, 0, 0, 0, 0, -1)}, "NOT_AXIAL"),
    "perfusion": ({"overrides": {"SeriesDescription": "Brain_Perfusion 5.0"}}, "DYNAMIC_SERIES"),
    "time points": ({"steps_mm": ([5.0, 0.0, 0.0, 0.0] * 3)[:11]}, "DYNAMIC_SERIES"),
    "secondary capture": (
        {"overrides": {"SOPClassUID": SecondaryCaptureImageStorage}},
        "SECONDARY_CAPTURE",
    ),
    "screen capture": (
        {
            "overrides": {
                "SOPClassUID": SecondaryCaptureImageStorage,
                "ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"],
            }
        },
        "SCREEN_CAPTURE",
    ),
}


@pytest.mark.parametrize(("options", "code"), SET_ASIDE.values(), ids=SET_ASIDE.keys())
def test_what_is_no_plain_axial_series_is_set_aside(
    study: Study, options: dict[str, Any], code: str
) -> None:
    bad, good = study.add(**options), study.add()

    selection = study.select()

    assert chosen_number(selection) == good
    assert codes(selection) == {bad: code}


@pytest.mark.parametrize(
    ("sop_class", "modality", "code"),
    [
        (XRayRadiationDoseSRStorage, "SR", "DOSE_REPORT"),
        (BasicTextSRStorage, "SR", "NOT_AN_IMAGE"),
    ],
)
def test_reports_are_set_aside(study: Study, sop_class: str, modality: str, code: str) -> None:
    study.add()
    report = study.add_object(sop_class, modality)

    assert codes(study.select()) == {report: code}


def test_files_that_are_no_dicom_are_set_aside(study: Study) -> None:
    study.add()
    (study.folder / "readme.txt").write_text("notes")

    (aside,) = study.select().set_aside

    assert (aside.code, aside.kind) == ("NOT_DICOM", "1 file")


def test_localizers_stored_inside_the_series_are_taken_out(study: Study) -> None:
    def first_is_localizer(k: int, dataset: Dataset) -> None:
        if k == 0:
            dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    study.add(edit=first_is_localizer)

    selection = study.select()

    assert len(selection.chosen["ncct"].listing.files) == SHAPE[0] - 1
    assert [aside.code for aside in selection.set_aside] == ["LOCALIZER"]


THICK: dict[str, Any] = {"slice_step_mm": 10.0}
BETTER: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a soft kernel over a sharp one": ({}, {"overrides": {"ConvolutionKernel": "BONE"}}),
    "original images over reformatted ones": (
        {},
        {"overrides": {"ImageType": ["DERIVED", "SECONDARY", "REFORMATTED", "AVERAGE"]}},
    ),
    "the whole head over a part": ({"shape": (25, 16, 16)}, {"shape": (12, 16, 16)}),
    "thin slices over thick ones": (
        {"shape": (25, 16, 16)},
        {"shape": (13, 16, 16), "slice_step_mm": 10.0},
    ),
    "more slices over fewer": (
        {"shape": (49, 16, 16), "slice_step_mm": 2.5},
        {"shape": (25, 16, 16)},
    ),
    "the first series over its repetition": ({}, {}),
}


@pytest.mark.parametrize(("better", "worse"), BETTER.values(), ids=BETTER.keys())
def test_of_several_series_that_fit_the_better_one_is_chosen(
    study: Study, better: dict[str, Any], worse: dict[str, Any]
) -> None:
    first, second = study.add(**better), study.add(**worse)

    selection = study.select()

    assert chosen_number(selection) == first
    assert codes(selection) == {second: "LESS_SUITABLE"}
    assert "the best of 2 that fit" in selection.chosen["ncct"].why


@pytest.mark.parametrize(("better", "worse"), list(BETTER.values())[:-1], ids=list(BETTER)[:-1])
def test_the_order_of_arrival_does_not_decide(
    study: Study, better: dict[str, Any], worse: dict[str, Any]
) -> None:
    study.add(**worse)
    second = study.add(**better)

    assert chosen_number(study.select()) == second


def test_the_choice_says_why(study: Study) -> None:
    study.add()

    why = study.select().chosen["ncct"].why

    assert "only series that fits" in why
    assert "soft-tissue kernel STANDARD" in why
    assert "slices of 5 mm covering 55 mm" in why


@pytest.mark.parametrize(
    "description", ["HEAD W/O CONTRAST", "NON-CONTRAST BRAIN", "NCCT before CTA", "Kopf nativ"]
)
def test_a_description_without_contrast_is_not_held_against_a_series(
    study: Study, description: str
) -> None:
    number = study.add(overrides={"SeriesDescription": description})

    assert chosen_number(study.select()) == number


def test_different_reasons_are_summed_up_in_one_error(study: Study) -> None:
    study.add(overrides={"ContrastBolusAgent": "IOHEXOL"})
    study.add(overrides={"BodyPartExamined": "CHEST"})

    with pytest.raises(NoSuitableSeries) as raised:
        study.select()

    assert "Series 1 (CT, 12 images): contrast agent given" in raised.value.message
    assert "Series 2 (CT, 12 images): shows CHEST, not the head" in raised.value.message


def test_a_perfusion_series_beside_a_contrast_series_is_no_single_reason(study: Study) -> None:
    study.add(overrides={"ContrastBolusAgent": "IOHEXOL"})
    study.add(orientation=SAGITTAL)

    with pytest.raises(NoSuitableSeries):
        study.select()


def test_the_files_of_two_studies_are_not_mixed(study: Study) -> None:
    study.add()
    study.add(study_seed="another patient")

    with pytest.raises(NoSuitableSeries, match="2 studies"):
        study.select()


def test_no_series_at_all_is_no_suitable_series() -> None:
    with pytest.raises(NoSuitableSeries, match="no series at all"):
        select_series((), (NCCT,))


def test_an_optional_role_may_stay_empty(study: Study) -> None:
    study.add()
    optional = Role("t1w", "MR", "T1-weighted MRI", required=False)

    selection = study.select(NCCT, optional)

    assert set(selection.chosen) == {"ncct"}


def test_each_role_takes_its_own_series(study: Study) -> None:
    ct = study.add()
    mr = study.add(overrides={"Modality": "MR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"})

    selection = study.select(NCCT, Role("t1w", "MR", "T1-weighted MRI"))

    numbers = {name: one.listing.series_number for name, one in selection.chosen.items()}
    assert numbers == {"ncct": ct, "t1w": mr}
    assert selection.set_aside == ()


def test_reasons_hold_no_free_text_of_the_header(study: Study) -> None:
    secret = "MILLER JOHN CTA"
    study.add(overrides={"SeriesDescription": secret, "ContrastBolusAgent": secret})
    study.add()

    (aside,) = study.select().set_aside

    assert "MILLER" not in f"{aside.kind} {aside.reason}"
