"""Checks of the acquisition: each rule has its code and its outcome."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.models.phantoms import make_stack, shipped_manifest
from willis_models.findings import QualityItem
from willis_models.pipelines.aspects.check import check
from willis_models.pipelines.base import Acquisition, InputImage
from willis_models.volume import SliceStack

GOOD: dict[str, Any] = {
    "modality": "CT",
    "body_part": "HEAD",
    "patient_age_years": 71.0,
    "kvp": 120.0,
    "slice_thickness_mm": 5.0,
}


def stack_of(slices: int) -> SliceStack:
    return make_stack((slices, 4, 4), 1.0, 5.0, field=lambda points: np.zeros(points.shape[:-1]))


def items(slices: int = 28, **changes: Any) -> dict[str, QualityItem]:
    image = InputImage(stack_of(slices), Acquisition(**{**GOOD, **changes}))
    return {item.code: item for item in check({"ncct": image}, shipped_manifest())}


def test_a_good_acquisition_passes_every_check() -> None:
    found = items()

    assert {item.outcome for item in found.values()} == {"pass"}
    assert set(found) == {"PATIENT_AGE", "TUBE_VOLTAGE", "SLICE_THICKNESS"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"modality": "MR"}, "WRONG_MODALITY"),
        ({"body_part": "CHEST"}, "NOT_A_HEAD"),
        ({"contrast_agent": "Iomeprol"}, "CONTRAST_GIVEN"),
        ({"lossy": True}, "LOSSY_PIXELS"),
        ({"slices": 9}, "TOO_FEW_SLICES"),
        ({"patient_age_years": 17.9}, "PATIENT_UNDER_18"),
        ({"kvp": 80.0}, "TUBE_VOLTAGE"),
        ({"kvp": 141.0}, "TUBE_VOLTAGE"),
        ({"slice_thickness_mm": 10.1}, "SLICE_THICKNESS"),
    ],
)
def test_an_unsuitable_acquisition_is_rejected_with_its_code(
    changes: dict[str, Any], code: str
) -> None:
    found = items(**changes)

    assert found[code].outcome == "reject"
    assert [item.code for item in found.values() if item.outcome == "reject"] == [code]


@pytest.mark.parametrize(
    "changes",
    [
        {"slices": 10},
        {"patient_age_years": 18.0},
        {"kvp": 100.0},
        {"kvp": 140.0},
        {"slice_thickness_mm": 10.0},
        {"body_part": "Neurocranium"},
        {"body_part": None, "modality": None, "kvp": None, "slice_thickness_mm": None},
    ],
)
def test_values_at_the_limit_and_unknown_ones_are_accepted(changes: dict[str, Any]) -> None:
    assert all(item.outcome == "pass" for item in items(**changes).values())


def test_an_unknown_age_is_a_warning() -> None:
    assert items(patient_age_years=None)["PATIENT_AGE_UNKNOWN"].outcome == "warn"


def test_what_the_reader_said_already_is_not_said_again() -> None:
    unknown = QualityItem(code="PATIENT_AGE_UNKNOWN", outcome="warn", message="The reader's.")
    acquisition = Acquisition(**{**GOOD, "patient_age_years": None, "source_items": (unknown,)})

    found = check({"ncct": InputImage(stack_of(28), acquisition)}, shipped_manifest())

    assert [item for item in found if item.code == "PATIENT_AGE_UNKNOWN"] == [unknown]


def test_what_the_reader_noticed_is_passed_on_first() -> None:
    tilt = QualityItem(code="GANTRY_TILT_CORRECTED", outcome="pass", message="Tilt.", value=18.5)

    found = items(source_items=(tilt,))

    assert next(iter(found.values())) == tilt
