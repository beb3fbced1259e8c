"""A source header as the facts that a report prints."""

from __future__ import annotations

from pydicom import Dataset

from willis_service.domain.study_facts import StudyFacts


def study_facts(header: Dataset) -> StudyFacts:
    """Who and what was examined, as the source states it; what it leaves empty is None."""
    maker, model = _text(header, "Manufacturer"), _text(header, "ManufacturerModelName")
    return StudyFacts(
        patient_name=_name(header),
        patient_id=_text(header, "PatientID"),
        birth_date=_date(_text(header, "PatientBirthDate")),
        sex=_text(header, "PatientSex"),
        accession_number=_text(header, "AccessionNumber"),
        study_description=_text(header, "StudyDescription"),
        series_description=_text(header, "SeriesDescription"),
        series_number=_text(header, "SeriesNumber"),
        acquired_at=_acquired_at(header),
        scanner=" ".join(part for part in (maker, model) if part) or None,
        study_instance_uid=_text(header, "StudyInstanceUID"),
        series_instance_uid=_text(header, "SeriesInstanceUID"),
    )


def _text(header: Dataset, keyword: str) -> str | None:
    value = header.get(keyword)
    text = "" if value is None else str(value).strip()
    return text or None


def _name(header: Dataset) -> str | None:
    """``Doe^Jane`` as ``Doe, Jane``; every component group of the name is kept."""
    text = _text(header, "PatientName")
    if text is None:
        return None
    groups = (group.strip("^ ").replace("^", ", ", 1) for group in text.split("="))
    return " / ".join(group.replace("^", " ") for group in groups if group)


def _date(text: str | None) -> str | None:
    """``20240115`` as ``2024-01-15``; anything else as it stands."""
    if text is None or len(text) != 8 or not text.isdigit():
        return text
    return f"{text[:4]}-{text[4:6]}-{text[6:]}"


def _time(text: str | None) -> str | None:
    """``101112.5`` as ``10:11``."""
    if text is None or len(text) < 4 or not text[:4].isdigit():
        return text
    return f"{text[:2]}:{text[2:4]}"


def _acquired_at(header: Dataset) -> str | None:
    """Date and time of the acquisition; where it is not stated, of the series or the study."""
    moment = _text(header, "AcquisitionDateTime")
    if moment is not None:
        return " ".join(filter(None, (_date(moment[:8]), _time(moment[8:12]))))
    for stem in ("Acquisition", "Series", "Study"):
        date = _date(_text(header, f"{stem}Date"))
        if date is not None:
            return " ".join(filter(None, (date, _time(_text(header, f"{stem}Time")))))
    return None
