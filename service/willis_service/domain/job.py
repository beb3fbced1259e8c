"""A job: one pipeline on one input with one bundle, and the states it goes through."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

INTERNAL_ERROR = "INTERNAL_ERROR"
"""Code of a job that failed by a bug, which is by definition outside the error tree."""


class JobState(StrEnum):
    """Where a job stands. ``succeeded``, ``rejected``, ``failed`` and ``superseded`` are final."""

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


class ResultKind(StrEnum):
    """The files that a job leaves behind; the value is the file's name in the job's folder."""

    FINDINGS = "findings.json"
    SEG = "seg.dcm"
    SR = "sr.dcm"
    REPORT = "report.html"
    PICTURE = "report.png"
    LABELS = "labels.nii.gz"


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
    step: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    results: tuple[ResultKind, ...] = ()


@dataclass(frozen=True)
class BundleId:
    """Which model: its version and the digest of its manifest, which names every other file."""

    version: str
    sha256: str


@dataclass(frozen=True)
class JobOrder:
    """A job that is asked for. ``inputs`` are paths relative to the data folder."""

    study_instance_uid: str
    pipeline: str
    bundle: BundleId
    input_fingerprint: str
    inputs: tuple[str, ...]

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


@dataclass(frozen=True)
class Run:
    """One attempt at a job. What it writes counts only while it is the job's latest attempt."""

    job: Job
    inputs: tuple[str, ...]

    @property
    def attempt(self) -> int:
        """Number of this attempt, from 1."""
        return self.job.attempts

    @property
    def bundle(self) -> BundleId:
        """The model that was ordered."""
        return BundleId(self.job.bundle_version, self.job.bundle_sha256)


@dataclass(frozen=True)
class Sighting:
    """A running job and when its worker last gave a sign of life."""

    job_id: str
    attempt: int
    started_at: datetime
    heartbeat_at: datetime


@dataclass(frozen=True)
class Patience:
    """How long and how often a job is tried."""

    lost_after: timedelta
    deadline: timedelta
    attempts: int

    def is_lost(self, run: Sighting, now: datetime) -> bool:
        """Whether the worker of this run must be taken for dead."""
        return now - run.heartbeat_at >= self.lost_after

    def is_overdue(self, run: Sighting) -> bool:
        """Whether the run lived longer than it may: it hung and was ended by its watchdog."""
        return run.heartbeat_at - run.started_at >= self.deadline

    def is_spent(self, run: Sighting) -> bool:
        """Whether it was the last attempt."""
        return run.attempt >= self.attempts
