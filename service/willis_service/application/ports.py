"""What the use cases need from the outside, in the application's own words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

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
from willis_service.domain.instance import IncomingInstance, Receipt, StoredInstance
from willis_service.domain.job import (
    BundleId,
    Ending,
    Job,
    JobOrder,
    ResultKind,
    Run,
    Sighting,
)
from willis_service.domain.peers import Destination
from willis_service.domain.study import OpenStudy
from willis_service.domain.study_facts import StudyFacts

Clock = Callable[[], datetime]
"""The time now, with a time zone."""


class JobDesk(Protocol):
    """What REST and the command line ask of the application. Built in ``bootstrap``.

    Errors come from the tree in ``willis_models.errors``: UnknownPipeline, UnknownStudy,
    UnknownJob, NotReady, BadUpload, UploadTooLarge, StorageFull, BrokerUnavailable.
    """

    def submit_files(self, files: Iterable[Path], pipeline: str) -> Job:
        """Take uploaded DICOM files (or one NIfTI file) and queue one job for their study."""
        ...

    def submit_study(self, study_instance_uid: str, pipeline: str) -> Job:
        """Queue a job for a study already received."""
        ...

    def job(self, job_id: str) -> Job:
        """The job as it stands now."""
        ...

    def recent_jobs(self, limit: int = 50) -> Sequence[Job]:
        """The latest jobs, newest first."""
        ...

    def wait_for(self, job_id: str, seconds: float) -> Job:
        """The job once it is final, or as it stands when the time is over."""
        ...

    def result_path(self, job_id: str, kind: ResultKind) -> Path:
        """Where a result lies. Raises NotReady while or because there is none."""
        ...

    def readiness(self) -> dict[str, str]:
        """Each part (database, broker, worker, disk, models) and "ok" or what is wrong."""
        ...


class InstanceArchive(Protocol):
    """The folder where received bytes are kept."""

    def keep(self, instance: IncomingInstance, place: str) -> None:
        """Make the bytes durable at this place, relative to the data folder."""
        ...

    def path_of(self, stored: str) -> Path:
        """The absolute path of something kept."""
        ...

    def free_bytes(self) -> int:
        """Space left."""
        ...


class ImageArchive(Protocol):
    """The folder where uploaded NIfTI images are kept."""

    def keep_file(self, source: Path) -> tuple[str, str]:
        """Make a copy durable; its path relative to the data folder, and its SHA-256."""
        ...


class StudyIndex(Protocol):
    """What was received, as the database knows it."""

    def holds(self, sop_instance_uid: str, sha256: str) -> bool:
        """Whether exactly this instance was stored before."""
        ...

    def add(self, instance: StoredInstance, opens_study: bool, instance_limit: int) -> Receipt:
        """Index an instance. Raises UploadTooLarge when its study would pass the limit."""
        ...

    def instances(self, study_instance_uid: str) -> Sequence[StoredInstance]:
        """The study's instances in order of arrival, conflicting ones left out."""
        ...

    def count_conflicts(self, study_instance_uid: str) -> int:
        """How many instances came with other bytes under a known UID."""
        ...


class StudyWatch(Protocol):
    """The studies that wait to be complete."""

    def open_studies(self) -> Sequence[OpenStudy]:
        """Studies with instances that were not routed yet."""
        ...

    def close(self, study: OpenStudy, now: datetime) -> None:
        """Mark as routed; it stays open (since now) if something came in the meantime."""
        ...


class JobBook(Protocol):
    """The jobs, as the database knows them."""

    def order(self, order: JobOrder, now: datetime) -> tuple[Job, bool]:
        """The job of this order and whether it is new, or was made by the same order before."""
        ...

    def reopen_failed(self, job_id: str, now: datetime) -> Job:
        """Queue a failed job again with its attempts unspent; any other job is left alone."""
        ...

    def get(self, job_id: str) -> Job:
        """The job as it stands. Raises UnknownJob."""
        ...

    def recent(self, limit: int) -> Sequence[Job]:
        """The latest jobs, newest first."""
        ...


class JobRuns(Protocol):
    """Attempts at jobs. A run that is not the job's latest changes nothing."""

    def claim(self, job_id: str, now: datetime) -> Run | None:
        """Start the next attempt; None where the job is final or running already."""
        ...

    def note_step(self, run: Run, step: str, now: datetime) -> None:
        """Store the name of the step that starts."""
        ...

    def finish(self, run: Run, ending: Ending, now: datetime) -> bool:
        """End the job; False where this run was superseded."""
        ...

    def release(self, job_id: str, attempt: int, now: datetime) -> bool:
        """Put the job back into the queue; False where this attempt is not the latest."""
        ...


class JobCare(Protocol):
    """What the reconciler needs."""

    def running(self) -> Sequence[Sighting]:
        """Running jobs."""
        ...

    def waiting_since(self, before: datetime) -> Sequence[str]:
        """Queued jobs whose message was sent before this time."""
        ...

    def note_enqueued(self, job_id: str, now: datetime) -> None:
        """Remember that a message was sent for the job."""
        ...

    def release(self, job_id: str, attempt: int, now: datetime) -> bool:
        """Put the job back into the queue; False where this attempt is not the latest."""
        ...

    def give_up(self, run: Sighting, ending: Ending, now: datetime) -> bool:
        """End a job whose worker is gone; False where it moved on."""
        ...


class WorkQueue(Protocol):
    """The broker: a hint that there is work. Raises BrokerUnavailable."""

    def put_analysis(self, job_id: str) -> None:
        """Ask a worker to run a job."""
        ...

    def put_delivery(self, job_id: str, destination: Destination) -> None:
        """Ask a worker to send a job's results."""
        ...

    def depth(self) -> int:
        """How many messages wait for a worker."""
        ...


class BundleCatalogue(Protocol):
    """Which bundle a pipeline runs now."""

    def current(self, pipeline: str) -> BundleId:
        """The latest bundle. Raises ManifestInvalid."""
        ...


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


class SeriesSelector(Protocol):
    """Chooses the input of an analysis among the files of a study."""

    def __call__(self, roles: Sequence[Role], files: Sequence[Path]) -> Sequence[Path]:
        """The files of the chosen series. Raises InputError where the study does not fit."""
        ...


class StudyInput(Protocol):
    """The input of one job: read once, then the place where its results are described."""

    def read(self, roles: Sequence[Role]) -> Case:
        """Decode the images. Raises InputError."""
        ...

    def write(self, analysis: Analysis, folder: Path, created_at: datetime) -> Sequence[ResultKind]:
        """Write the results and check them; which ones were written. Raises ResultError."""
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

    def __call__(self, files: Sequence[Path]) -> StudyInput:
        """The input that these files are."""
        ...


class InstanceParser(Protocol):
    """Reads the header of an uploaded file."""

    def __call__(self, path: Path) -> IncomingInstance:
        """The instance, its pixel data undecoded. Raises DecodingError."""
        ...


class ResultShelf(Protocol):
    """Where results are kept."""

    def stage(self, run: Run) -> AbstractContextManager[Path]:
        """A private folder to write into; gone afterwards unless published."""
        ...

    def publish(self, run: Run, folder: Path) -> None:
        """Put a staged folder in the job's place, all at once and durably."""
        ...

    def path(self, job_id: str, kind: ResultKind) -> Path:
        """Where a published result lies."""
        ...


class ResultSender(Protocol):
    """Sends objects to another system."""

    def __call__(self, files: Sequence[Path], destination: Destination) -> None:
        """Send all. Raises DestinationUnreachable or DestinationRefused."""
        ...


class Probe(Protocol):
    """One part of the installation that can be well or not."""

    def __call__(self) -> str:
        """ "ok", or what is wrong in a few words."""
        ...


class LifeSigns(Protocol):
    """Where a worker shows that it lives."""

    def sign_in(self, worker_id: str, models: Sequence[str], now: datetime) -> None:
        """A worker is ready: its models are loaded and replayed."""
        ...

    def beat(self, worker_id: str, now: datetime) -> None:
        """Store a sign of life of the worker."""
        ...

    def sign_out(self, worker_id: str) -> None:
        """The worker ends in good order."""
        ...


class RunSigns(Protocol):
    """Where a run shows that it lives."""

    def beat(self, run: Run, now: datetime) -> None:
        """Store a sign of life of the run."""
        ...
