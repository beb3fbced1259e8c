"""Checks of a series' header that every pipeline asks for."""

from __future__ import annotations

from collections.abc import Iterator

from willis_models.errors import (
    LossyPixels,
    NotAHead,
    PatientTooYoung,
    WillisError,
    WrongModality,
)
from willis_models.findings import Outcome, QualityItem
from willis_models.pipelines.base import Acquisition

HEAD_WORDS = ("HEAD", "BRAIN", "SKULL", "NEURO", "CRAN")


def general_items(
    acquisition: Acquisition, modality: str, min_age_years: float
) -> Iterator[QualityItem]:
    """Modality, body part, lossy compression and age."""
    if acquisition.modality not in (None, modality):
        said = f"The series is {acquisition.modality}; this needs {modality}."
        yield reject(WrongModality, said)
    if acquisition.body_part and not _is_head(acquisition.body_part):
        yield reject(NotAHead, f"The body part is given as {acquisition.body_part}.")
    if acquisition.lossy:
        yield reject(LossyPixels, "The pixels were compressed with loss.")
    yield _age(acquisition.patient_age_years, min_age_years)


def unsaid(acquisition: Acquisition, found: Iterator[QualityItem]) -> tuple[QualityItem, ...]:
    """The reader's own items, then what it did not say already."""
    said = acquisition.source_items
    codes = {item.code for item in said}
    return said + tuple(item for item in found if item.code not in codes)


def reject(error: type[WillisError], message: str) -> QualityItem:
    """An item that rejects the study with the code of an error."""
    return quality_item(error.code, "reject", message)


def quality_item(code: str, outcome: Outcome, message: str) -> QualityItem:
    """An item without a number."""
    return QualityItem(code=code, outcome=outcome, message=message)


def _is_head(body_part: str) -> bool:
    return any(word in body_part.upper() for word in HEAD_WORDS)


def _age(age_years: float | None, least_years: float) -> QualityItem:
    if age_years is None:
        said = "No age is given; the model is for adults."
        return quality_item("PATIENT_AGE_UNKNOWN", "warn", said)
    if age_years < least_years:
        return reject(PatientTooYoung, f"The patient is under {least_years:.0f} years.")
    return quality_item("PATIENT_AGE", "pass", "The patient is an adult.")
