"""Models, the input of an analysis, and where its results are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from willis_models.findings import Findings
from willis_models.manifest import Manifest
from willis_models.pipelines.base import (
    Analysis,
    Assets,
    Case,
    InputImage,
    Pipeline,
    Predictor,
    Role,
)
from willis_service.domain.extent import Extent
from willis_service.domain.job import BundleId, Edition, ResultKind
from willis_service.domain.study_facts import StudyFacts


@dataclass(frozen=True)
class Model:
    """A pipeline with its loaded bundle, ready to run."""

    pipeline: Pipeline
    manifest: Manifest
    assets: Assets
    predictor: Predictor


class ModelShelf(Protocol):
    """The loaded models of a worker."""

    def take(self, pipeline: str, bundle: BundleId) -> Model:
        """The model of a job. Raises UnknownPipeline or BundleError."""
        ...


@dataclass(frozen=True)
class Amended:
    """A published result that a new one takes the place of. Only a DICOM study has an ``sr``."""

    job_id: str
    findings: Findings
    sr: Path | None


@dataclass(frozen=True)
class OrderedInput:
    """The files of a job. ``roles`` are those of each role, where that was decided with the order.

    ``frame_times_s`` are the times of the frames of a file that does not state them itself.
    """

    files: Sequence[Path]
    roles: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    frame_times_s: Sequence[float] = ()


class ExtentReader(Protocol):
    """Says where a series lies, from its headers alone."""

    def __call__(self, files: Sequence[Path]) -> Extent | None:
        """The box around the images; None where they don't say."""
        ...


class StudyInput(Protocol):
    """The input of one job: read once, then the place where its results are described."""

    def read(self, roles: Sequence[Role], needs: Sequence[frozenset[str]] = ()) -> Case:
        """Decode the images of these roles; one of ``needs`` must be full. Raises InputError."""
        ...

    def write(
        self,
        analysis: Analysis,
        folder: Path,
        created_at: datetime,
        predecessor: Path | None = None,
    ) -> Sequence[ResultKind]:
        """Write the results and check them; which ones were written. Raises ResultError.

        ``predecessor`` is the structured report that the new one amends.
        """
        ...


class ReportWriter(Protocol):
    """Writes the report page and its picture."""

    def __call__(
        self, analysis: Analysis, image: InputImage | None, study: StudyFacts, folder: Path
    ) -> tuple[ResultKind, ...]:
        """Write the files; which kinds they are."""
        ...


class InputOpener(Protocol):
    """Opens the files of a job."""

    def __call__(self, ordered: OrderedInput) -> StudyInput:
        """The input that these files are."""
        ...


class ResultShelf(Protocol):
    """Where results are kept."""

    def stage(self, edition: Edition) -> AbstractContextManager[Path]:
        """A private folder to write into; gone afterwards unless published."""
        ...

    def publish(self, edition: Edition, folder: Path) -> None:
        """Put a staged folder in the edition's place, durably. It counts once the job says so."""
        ...

    def discard(self, edition: Edition) -> None:
        """Remove an edition that does not count."""
        ...

    def path(self, job_id: str, kind: ResultKind) -> Path:
        """Where a result that counts lies. Raises NotReady where the job has none."""
        ...
