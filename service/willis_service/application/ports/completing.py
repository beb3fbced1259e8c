"""Studies that wait, the choice of their series, what became of them, the bundle of a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from willis_models.pipelines.base import Pipeline
from willis_service.domain.completeness import Verdict
from willis_service.domain.job import BundleId, Priority
from willis_service.domain.study import OpenStudy, SeriesArrival, StudyOutcome


class StudyWatch(Protocol):
    """The studies that wait to be complete."""

    def open_studies(self) -> Sequence[OpenStudy]:
        """Studies with instances that were not routed yet."""
        ...

    def arrivals(self, study_instance_uid: str) -> Sequence[SeriesArrival]:
        """How far each series of the study has arrived."""
        ...

    def close(self, study: OpenStudy, now: datetime) -> bool:
        """Mark as routed; False where something came meanwhile: it stays open, since now."""
        ...


class StudyOutcomes(Protocol):
    """What became of each study that was routed, or not."""

    def record(self, outcome: StudyOutcome) -> None:
        """Keep the outcome in place of an earlier one."""
        ...

    def study_outcome(self, study_instance_uid: str) -> StudyOutcome | None:
        """The latest outcome; None for a study that was not routed (yet)."""
        ...


@dataclass(frozen=True)
class SeriesNote:
    """What the selection says about one series, for a person who tries the rules."""

    series_number: int | None
    kind: str
    description: str
    role: str | None
    """The role that it takes."""
    rule: str | None
    reason: str
    """Why it takes the role, or why not; quotes no description."""


@dataclass(frozen=True)
class Choice:
    """The input of one pipeline among the files of a study, and why.

    ``is_asked_for`` says that a rule takes one of the series; without one the pipeline runs only
    where somebody asks for it by name, and then the rules are not held against any series.
    ``problem`` is why none of its series can be analysed. ``files`` are those of the chosen series,
    or all candidates where none fits: the worker then meets the same error on them and reports it.
    ``roles`` are the files of each role; empty where none fits.
    ``watched`` are the files of every series that could be the input: while one of them grows, a
    better choice may follow.
    """

    files: tuple[Path, ...]
    watched: tuple[Path, ...]
    is_asked_for: bool
    verdict: Verdict
    roles: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    rules: tuple[str, ...] = ()
    priority: Priority = Priority.ROUTINE
    problem: str | None = None
    reasons: tuple[str, ...] = ()
    notes: tuple[SeriesNote, ...] = ()


class SeriesSelector(Protocol):
    """Chooses the input of an analysis among the files of a study."""

    def __call__(self, pipeline: Pipeline, files: Mapping[Path, str | None]) -> Choice:
        """The choice among these files, each with its sender's AE title where that is known."""
        ...

    def forget(self, files: Sequence[Path]) -> None:
        """Let go of what was kept in memory about these files."""
        ...


class BundleCatalogue(Protocol):
    """Which bundle a pipeline runs now."""

    def current(self, pipeline: str) -> BundleId:
        """The latest bundle. Raises ManifestInvalid."""
        ...
