"""What every data set looks like to the rest of the package, whatever its layout on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

Fact = str | float


@dataclass(frozen=True)
class Subject:
    """One examination of one person: where its images and its label map lie.

    ``subject_id`` is unique in its data set and names the examination; what stands before
    ``_ses-`` names the person, so that two sessions never part in a split. ``images`` by role:
    "ncct", "t1w", "tmax"... ``label`` is None where the data set hides or lacks it. ``facts`` are
    what the data set says beside the images ("part", "days_post_stroke"...); never an identifier.
    ``dynamic`` names the roles whose files are series in time (four axes). ``absent`` names what
    the layout promises and this subject lacks: roles of images, or "facts" for its tables.
    """

    subject_id: str
    site: str | None
    images: Mapping[str, Path]
    label: Path | None = None
    facts: Mapping[str, Fact] = field(default_factory=dict)
    dynamic: frozenset[str] = frozenset()
    absent: tuple[str, ...] = ()

    @property
    def person_id(self) -> str:
        """The person examined: the id without its session."""
        return self.subject_id.partition("_ses-")[0]

    @property
    def label_is_hidden(self) -> bool:
        """Whether the publisher keeps the label map (the testing part of a challenge)."""
        return self.facts.get("part") == "testing"


class SubjectSet(Protocol):
    """A data set: its name, what its label values mean, and its subjects in a fixed order."""

    @property
    def name(self) -> str:
        """For cards and reports."""
        ...

    @property
    def label_names(self) -> Mapping[int, str]:
        """Label value to name, background (0) included."""
        ...

    def subjects(self) -> Sequence[Subject]:
        """All examinations, sorted by id. Reads names of files only, no image."""
        ...
