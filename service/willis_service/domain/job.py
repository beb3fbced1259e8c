"""A job: one pipeline on one input with one bundle, and the states it goes through."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from willis_models.errors import WorkerLost

INTERNAL_ERROR = "INTERNAL_ERROR"
"""Code of a job that failed by a bug, which is by definition outside the error tree."""
Options = Mapping[str, Any]
"""What is asked of a pipeline beside the images: a JSON object."""
ROUTING = "routing"
"""Pipeline of the job that stands for a study which could not be routed; it is never run."""


class JobState(StrEnum):
    """Where a job stands. ``succeeded``, ``rejected``, ``failed`` and ``superseded`` are final.

    A study that waits to be complete is ``received``: it has no job yet.
    """

    RECEIVED = "received"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    FAILED = "failed"
    SUPERSEDED = "superseded"

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens to the job."""
        return self in _FINAL


_FINAL = frozenset({JobState.SUCCEEDED, JobState.REJECTED, JobState.FAILED, JobState.SUPERSEDED})


class Priority(StrEnum):
    """The lane of a job: urgent ones are run before any routine one."""

    URGENT = "urgent"
    ROUTINE = "routine"


class ResultKind(StrEnum):
    """The files that a job leaves behind; the value is the file's name in the job's folder.

    Deliveries go out in this order: SEG and maps come before the SR that names them.
    """

    FINDINGS = "findings.json"
    SEG = "seg.dcm"
    CBF = "cbf.dcm"
    CBV = "cbv.dcm"
    MTT = "mtt.dcm"
    TMAX = "tmax.dcm"
    TTP = "ttp.dcm"
    SR = "sr.dcm"
    REPORT = "report.html"
    PICTURE = "report.png"
    LABELS = "labels.nii.gz"
    OVERLAYS = "overlays.nii.gz"
    CBF_NIFTI = "cbf.nii.gz"
    CBV_NIFTI = "cbv.nii.gz"
    MTT_NIFTI = "mtt.nii.gz"
    TMAX_NIFTI = "tmax.nii.gz"
    TTP_NIFTI = "ttp.nii.gz"
    RETRACTION = "retraction.dcm"
    """Key object selection that says that the result was rejected; written on retraction only."""


DICOM_MAPS: Mapping[str, ResultKind] = {
    "cbf": ResultKind.CBF,
    "cbv": ResultKind.CBV,
    "mtt": ResultKind.MTT,
    "tmax": ResultKind.TMAX,
    "ttp": ResultKind.TTP,
}
"""The DICOM object of each parametric map, by the map's key."""
NIFTI_MAPS: Mapping[str, ResultKind] = {
    "cbf": ResultKind.CBF_NIFTI,
    "cbv": ResultKind.CBV_NIFTI,
    "mtt": ResultKind.MTT_NIFTI,
    "tmax": ResultKind.TMAX_NIFTI,
    "ttp": ResultKind.TTP_NIFTI,
}
"""The same for NIfTI."""
DICOM_OBJECTS = (ResultKind.SEG, *DICOM_MAPS.values(), ResultKind.SR)
"""The objects of a result that go to archives; the report names the others and comes last."""


@dataclass(frozen=True)
class Job:
    """One analysis, unique for pipeline + bundle digest + input fingerprint."""

    id: str
    study_instance_uid: str
    pipeline: str
    bundle_version: str
    bundle_sha256: str
    input_fingerprint: str
    state: JobState
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    attempts: int = 0
    """How often it was tried since it was asked for."""
    token: int = 0
    """Number of the latest run, the fencing token: it grows with each run and never goes back."""
    step: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    results: tuple[ResultKind, ...] = ()
    priority: Priority = Priority.ROUTINE
    predecessor_id: str | None = None
    """The job whose result this one amends, after late images."""
    successor_id: str | None = None
    """The job that superseded this one."""
    asked_at: datetime | None = None
    """When it was asked for last; what is late is counted from here."""
    published_at: datetime | None = None
    """When the results that count now were put in their place."""
    notice_code: str | None = None
    """Set while the results only say that there is none: why the study could not be analysed."""
    timings_s: Mapping[str, float] = field(default_factory=dict)
    """Seconds of each step of the run that ended the job."""
    retracted_at: datetime | None = None
    """When the result was withdrawn by a person; nobody may act on it since."""
    retraction_reason: str | None = None
    results_purged_at: datetime | None = None
    """When retention removed the result's files; ``results`` is empty since."""
    options: Options = field(default_factory=dict)
    """What the caller asked of the pipeline beside the images, as it was checked."""

    @property
    def is_parked(self) -> bool:
        """Whether it was given up because each attempt ended its worker (R16)."""
        return self.state is JobState.FAILED and self.error_code == WorkerLost.code

    @property
    def has_notice_only(self) -> bool:
        """Whether its results only say that the study could not be analysed."""
        return self.notice_code is not None


@dataclass(frozen=True)
class BundleId:
    """Which model: its version and the digest of its manifest, which names every other file."""

    version: str
    sha256: str


def asked_fingerprint(images_fingerprint: str, options: Options) -> str:
    """What identifies a request: its images and, where there are any, its options."""
    if not options:
        return images_fingerprint
    text = json.dumps(options, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{images_fingerprint}\0{text}".encode()).hexdigest()


@dataclass(frozen=True)
class JobOrder:
    """A job that is asked for. ``inputs`` are paths relative to the data folder.

    ``roles`` names the role of each input, or is empty: then the worker chooses among them.
    ``options`` are what the caller asks of the pipeline, as JSON has it.
    """

    study_instance_uid: str
    pipeline: str
    bundle: BundleId
    input_fingerprint: str
    inputs: tuple[str, ...]
    priority: Priority = Priority.ROUTINE
    roles: tuple[str, ...] = ()
    options: Options = field(default_factory=dict)

    @property
    def job_id(self) -> str:
        """The same order always has the same id, so a job exists once however often it is asked."""
        parts = (self.pipeline, self.bundle.sha256, self.input_fingerprint)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Ending:
    """How a job ended."""

    state: JobState
    results: tuple[ResultKind, ...] = ()
    error_code: str | None = None
    error_message: str | None = None
    timings_s: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Edition:
    """One set of results of a job, in a folder of its own. The database says which one counts."""

    job_id: str
    name: str


@dataclass(frozen=True)
class Lease:
    """The right to end a job: it holds while ``token`` is the job's latest."""

    job_id: str
    token: int


@dataclass(frozen=True)
class Run:
    """One run of a job. What it writes counts only while it is the job's latest run."""

    job: Job
    inputs: tuple[str, ...]
    roles: tuple[str, ...] = ()
    """The role of each input; empty where the worker chooses."""

    @property
    def attempt(self) -> int:
        """Number of this attempt, from 1."""
        return self.job.attempts

    @property
    def lease(self) -> Lease:
        """Its right to end the job."""
        return Lease(self.job.id, self.job.token)

    @property
    def edition(self) -> Edition:
        """Where its results lie."""
        return Edition(self.job.id, str(self.job.token))

    @property
    def bundle(self) -> BundleId:
        """The model that was ordered."""
        return BundleId(self.job.bundle_version, self.job.bundle_sha256)


@dataclass(frozen=True)
class Sighting:
    """A running job and its last sign of life."""

    job_id: str
    token: int
    attempt: int
    heartbeat_at: datetime
    ran_s: float
    """How long the run had gone on by its worker's own clock, which nobody sets."""

    @property
    def lease(self) -> Lease:
        """The run's right to end the job."""
        return Lease(self.job_id, self.token)


@dataclass(frozen=True)
class Patience:
    """How long and how often a job is tried."""

    lost_after: timedelta
    deadline: timedelta
    attempts: int

    def is_lost(self, silent_s: float) -> bool:
        """Whether a worker that was silent for so long must be taken for dead."""
        return silent_s >= self.lost_after.total_seconds()

    def is_overdue(self, run: Sighting) -> bool:
        """Whether the run lived longer than it may: it hung and was ended by its watchdog."""
        return run.ran_s >= self.deadline.total_seconds()

    def is_spent(self, run: Sighting) -> bool:
        """Whether it was the last attempt."""
        return run.attempt >= self.attempts


@dataclass(frozen=True)
class Lane:
    """The jobs of one priority that wait."""

    waiting: int = 0
    oldest_s: float = 0.0


@dataclass(frozen=True)
class QueueState:
    """The queue at one moment."""

    lanes: Mapping[Priority, Lane]
    states: Mapping[JobState, int]
    longest_silence_s: float
    """Of the running jobs, how long the one that was silent longest gave no sign of life."""
    usual_run_s: float | None
    """Median of the latest runs; None where nothing ran yet."""
    workers: int
    """Workers that are present."""

    def backlog_s(self, priorities: Collection[Priority]) -> float:
        """How long the present workers need for what waits in these lanes."""
        waiting = sum(self.lanes[one].waiting for one in priorities if one in self.lanes)
        return waiting * (self.usual_run_s or 0.0) / max(1, self.workers)
