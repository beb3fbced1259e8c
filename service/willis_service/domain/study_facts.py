"""What a reader of a report needs to know whose study it is. Never logged."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StudyFacts:
    """Identifiers and acquisition as the source states them; None where it does not.

    Dates and times are already written for a reader. Everything here may identify a patient: it
    goes into reports and nowhere else.
    """

    patient_name: str | None = None
    patient_id: str | None = None
    birth_date: str | None = None
    sex: str | None = None
    accession_number: str | None = None
    study_description: str | None = None
    series_description: str | None = None
    series_number: str | None = None
    acquired_at: str | None = None
    scanner: str | None = None
    study_instance_uid: str | None = None
    series_instance_uid: str | None = None
