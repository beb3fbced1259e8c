"""A job desk in memory: jobs end as they are told to, results are files in a folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from willis_models.errors import NotReady, UnknownJob, UnknownPipeline, UnknownStudy, WillisError
from willis_models.findings import Findings, Rejection, SideScore
from willis_models.pipelines.base import Pipeline, Role
from willis_service.adapters.rest.app import create_app
from willis_service.adapters.rest.config import Catalogue, RestConfig
from willis_service.adapters.telemetry.metrics import Metrics
from willis_service.domain.job import Job, JobState, ResultKind

KEY = "a-key-for-tests"
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KNOWN_STUDY = "1.2.3"


def succeeded_findings() -> Findings:
    """A right-sided score of 7."""
    score = SideScore(
        side="right",
        score=7,
        lowest=7,
        highest=8,
        affected=("I", "M2", "M5"),
        indeterminate=(),
        not_assessable=(),
    )
    return Findings(pipeline="aspects", status="succeeded", scores=(score,))


def rejected_findings() -> Findings:
    """A study without numbers."""
    reason = Rejection(code="NOT_A_HEAD", message="The examined body part is the chest.")
    return Findings(pipeline="aspects", status="rejected", rejection=reason)


@dataclass
class FakeDesk:
    """Every submission becomes one job; ``ends_as`` says in which state ``wait_for`` finds it."""

    folder: Path
    ends_as: JobState = JobState.SUCCEEDED
    ready: bool = True
    failure: WillisError | None = None
    jobs: dict[str, Job] = field(default_factory=dict)
    seen: list[tuple[str, bytes]] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)

    def submit_files(self, files: Iterable[Path], pipeline: str) -> Job:
        self._require(pipeline)
        self.seen = [(path.name, path.read_bytes()) for path in files]
        return self._new(KNOWN_STUDY, pipeline)

    def submit_study(self, study_instance_uid: str, pipeline: str) -> Job:
        self._require(pipeline)
        if study_instance_uid != KNOWN_STUDY:
            raise UnknownStudy("No instance of this study was received. Send it first.")
        return self._new(study_instance_uid, pipeline)

    def job(self, job_id: str) -> Job:
        if job_id not in self.jobs:
            raise UnknownJob("No job has this identifier.")
        return self.jobs[job_id]

    def recent_jobs(self, limit: int = 50) -> Sequence[Job]:
        return list(reversed(self.jobs.values()))[:limit]

    def wait_for(self, job_id: str, seconds: float) -> Job:
        self.waits_s.append(seconds)
        if self.ends_as.is_final:
            self.jobs[job_id] = self._ended(self.job(job_id))
        return self.job(job_id)

    def result_path(self, job_id: str, kind: ResultKind) -> Path:
        if kind not in self.job(job_id).results:
            raise NotReady("The job has no such result yet.")
        return self.folder / kind.value

    def readiness(self) -> dict[str, str]:
        return {"database": "ok", "broker": "ok" if self.ready else "no answer"}

    def _require(self, pipeline: str) -> None:
        if self.failure is not None:
            raise self.failure
        if pipeline != "aspects":
            raise UnknownPipeline("No pipeline has this name. GET /pipelines lists them.")

    def _new(self, study_instance_uid: str, pipeline: str) -> Job:
        job = Job(
            id=f"job-{len(self.jobs) + 1}",
            study_instance_uid=study_instance_uid,
            pipeline=pipeline,
            bundle_version="1.0.0",
            bundle_sha256="0" * 64,
            input_fingerprint="f" * 64,
            state=JobState.QUEUED,
            created_at=START,
        )
        self.jobs[job.id] = job
        return job

    def _ended(self, job: Job) -> Job:
        ended = replace(job, state=self.ends_as, finished_at=START + timedelta(seconds=9))
        if self.ends_as is JobState.FAILED:
            return replace(ended, error_code="DEADLINE_EXCEEDED", error_message="Took too long.")
        if self.ends_as is JobState.REJECTED:
            self._write(ResultKind.FINDINGS, rejected_findings().model_dump_json().encode())
            return replace(
                ended,
                error_code="NOT_A_HEAD",
                error_message="The examined body part is the chest.",
                results=(ResultKind.FINDINGS,),
            )
        self._write(ResultKind.FINDINGS, succeeded_findings().model_dump_json().encode())
        for kind in set(ResultKind) - {ResultKind.FINDINGS}:
            self._write(kind, f"the {kind.name.lower()}".encode())
        return replace(ended, results=tuple(ResultKind))

    def _write(self, kind: ResultKind, content: bytes) -> None:
        (self.folder / kind.value).write_bytes(content)


def an_empty_pipeline() -> Pipeline:
    """A pipeline value that only says what it is."""

    def never(*_arguments: object) -> object:
        raise NotImplementedError("This pipeline is for lists only.")

    role = Role(name="ncct", modality="CT", title="Non-contrast CT of the head")
    return Pipeline("aspects", "ASPECTS", (role,), never, never, never)  # type: ignore[arg-type]


def an_app(desk: FakeDesk, config: RestConfig):  # type: ignore[no-untyped-def]
    """The real application over a fake desk."""
    catalogue = Catalogue(pipelines=(an_empty_pipeline(),), models=())
    return create_app(desk, config, catalogue, Metrics(desk.readiness, desk.recent_jobs))
