"""Checks of the acquisition before any work is done; rules of ``docs/reading-dicom.md``."""

from __future__ import annotations

from collections.abc import Iterator

from willis_models.errors import (
    ContrastGiven,
    LossyPixels,
    NotAHead,
    PatientTooYoung,
    TooFewSlices,
    WillisError,
    WrongModality,
)
from willis_models.findings import Outcome, QualityItem
from willis_models.manifest import Manifest
from willis_models.pipelines.aspects.parameters import CheckParameters, parameters_of
from willis_models.pipelines.aspects.prepare import ROLE
from willis_models.pipelines.base import Acquisition, Case

HEAD_WORDS = ("HEAD", "BRAIN", "SKULL", "NEURO", "CRAN")


def check(case: Case, manifest: Manifest) -> tuple[QualityItem, ...]:
    """Quality items of the non-contrast CT: the reader's own, then what it did not say already."""
    image = case[ROLE]
    limits = parameters_of(manifest).check
    found = _acquisition_items(image.acquisition, image.stack.shape[0], limits)
    said = image.acquisition.source_items
    codes = {item.code for item in said}
    return said + tuple(item for item in found if item.code not in codes)


def _acquisition_items(
    acquisition: Acquisition, slices: int, limits: CheckParameters
) -> Iterator[QualityItem]:
    if acquisition.modality not in (None, "CT"):
        yield _reject(WrongModality, f"The series is {acquisition.modality}; this needs CT.")
    if acquisition.body_part and not _is_head(acquisition.body_part):
        yield _reject(NotAHead, f"The body part is given as {acquisition.body_part}.")
    if acquisition.contrast_agent:
        yield _reject(ContrastGiven, "Contrast agent was given; this needs non-contrast CT.")
    if acquisition.lossy:
        yield _reject(LossyPixels, "The pixels were compressed with loss.")
    if slices < limits.min_slices:
        yield _reject(TooFewSlices, f"{slices} slices; at least {limits.min_slices} are needed.")
    yield _age(acquisition.patient_age_years, limits)
    yield from _exposure(acquisition, limits)


def _is_head(body_part: str) -> bool:
    return any(word in body_part.upper() for word in HEAD_WORDS)


def _age(age_years: float | None, limits: CheckParameters) -> QualityItem:
    if age_years is None:
        return _item("PATIENT_AGE_UNKNOWN", "warn", "No age is given; the model is for adults.")
    if age_years < limits.min_age_years:
        return _reject(PatientTooYoung, f"The patient is under {limits.min_age_years:.0f} years.")
    return _item("PATIENT_AGE", "pass", "The patient is an adult.")


def _exposure(acquisition: Acquisition, limits: CheckParameters) -> Iterator[QualityItem]:
    kvp, thickness = acquisition.kvp, acquisition.slice_thickness_mm
    if kvp is not None:
        inside = limits.min_kvp <= kvp <= limits.max_kvp
        yield QualityItem(
            code="TUBE_VOLTAGE",
            outcome="pass" if inside else "reject",
            message=f"Tube voltage; {limits.min_kvp:.0f}-{limits.max_kvp:.0f} kV is accepted.",
            value=kvp,
            unit="kV",
        )
    if thickness is not None:
        inside = thickness <= limits.max_slice_thickness_mm
        yield QualityItem(
            code="SLICE_THICKNESS",
            outcome="pass" if inside else "reject",
            message=f"Slice thickness; at most {limits.max_slice_thickness_mm:.0f} mm is accepted.",
            value=thickness,
            unit="mm",
        )


def _reject(error: type[WillisError], message: str) -> QualityItem:
    return _item(error.code, "reject", message)


def _item(code: str, outcome: Outcome, message: str) -> QualityItem:
    return QualityItem(code=code, outcome=outcome, message=message)
