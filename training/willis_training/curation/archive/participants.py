"""The tables that tell subjects and sessions apart without a date or a name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from willis_training.curation.archive.bids import Layout, table, write_whole
from willis_training.curation.archive.pseudonyms import CaseName, age_band
from willis_training.curation.archive.selection import KeptSeries
from willis_training.curation.archive.series import age_years, as_date

Converted = tuple[CaseName, KeptSeries]
_SEXES = ("M", "F", "O")


def write_tables(layout: Layout, converted: Iterable[Converted]) -> None:
    """``participants.tsv`` and each subject's ``sessions.tsv``."""
    by_subject: dict[str, list[Converted]] = {}
    for name, series in converted:
        by_subject.setdefault(name.subject, []).append((name, series))
    rows = [_participant(subject, every) for subject, every in sorted(by_subject.items())]
    columns = ("participant_id", "age_band", "sex", "sessions")
    write_whole(layout.root / "participants.tsv", table(columns, rows))
    for subject, every in by_subject.items():
        folder = layout.root / f"sub-{subject}"
        days = sorted(_days(every).items(), key=lambda item: (item[1] is None, item[1] or 0, item))
        shown = [(f"ses-{session}", "n/a" if day is None else day) for session, day in days]
        write_whole(
            folder / f"sub-{subject}_sessions.tsv",
            table(("session_id", "days_since_first_study"), shown),
        )


def _participant(subject: str, every: Sequence[Converted]) -> tuple[object, ...]:
    headers = [series.header for _, series in every]
    ages = [age for age in map(age_years, headers) if age is not None]
    sexes = {str(h.get("PatientSex", "")).upper() for h in headers} & set(_SEXES)
    sessions = len({name.session for name, _ in every})
    sex = sexes.pop() if len(sexes) == 1 else "n/a"
    return f"sub-{subject}", age_band(min(ages, default=None)), sex, sessions


def _days(every: Sequence[Converted]) -> dict[str, int | None]:
    """Days from a subject's first study to each; None where a header has no date."""
    dates: dict[str, date | None] = {
        name.session: as_date(series.header.get("StudyDate")) for name, series in every
    }
    first = min((day for day in dates.values() if day is not None), default=None)
    return {
        session: None if day is None or first is None else (day - first).days
        for session, day in dates.items()
    }
