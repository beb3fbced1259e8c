"""A job desk in memory: jobs end as they are told to, results are files in a folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.fake_imaging import fake_imaging
from willis_models.errors import (
    NotFailed,
    NotReady,
    QueueTooLong,
    UnknownDelivery,
    UnknownJob,
    UnknownPipeline,
    UnknownStudy,
    WillisError,
)
from willis_models.findings import Findings, Rejection, SideScore
from willis_models.pipelines.base import Pipeline, Role
from willis_service.adapters.rest.app import create_app
from willis_service.adapters.rest.config import Catalogue, Imaging, RestConfig
from willis_service.adapters.telemetry.metrics import Metrics
from willis_service.application.ports.delivering import DeliveryQuery, DestinationStatus
from willis_service.domain.alarm import Alarm
from willis_service.domain.delivery import Delivery, DeliveryState
from willis_service.domain.job import (
    Job,
    JobState,
    Lane,
    Options,
    Priority,
    QueueState,
    ResultKind,
)

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
class FakeQueue:
    """A queue that is as long as a test says; a failed job is queued again."""

    jobs: dict[str, Job] = field(default_factory=dict)
    alarm_list: list[Alarm] = field(default_factory=list)
    refusal: QueueTooLong | None = None
    asked: list[Priority] = field(default_factory=list)
    usual_run_s: float = 10.0

    def admit(self, priority: Priority) -> None:
        self.asked.append(priority)
        if self.refusal is not None:
            raise self.refusal

    def retry(self, job_id: str) -> Job:
        if job_id not in self.jobs:
            raise UnknownJob("No job has this identifier.")
        if self.jobs[job_id].state is not JobState.FAILED:
            raise NotFailed("Only a failed job can be tried again.")
        self.jobs[job_id] = replace(self.jobs[job_id], state=JobState.QUEUED)
        return self.jobs[job_id]

    def alarms(self, limit: int) -> Sequence[Alarm]:
        return self.alarm_list[:limit]

    def state(self) -> QueueState:
        waiting = [job for job in self.jobs.values() if job.state is JobState.QUEUED]
        lanes = {one: Lane(sum(j.priority is one for j in waiting), 3.0) for one in Priority}
        states = Counter(job.state for job in self.jobs.values())
        return QueueState(lanes, states, 2.0, self.usual_run_s, 1)

    def ended_since(self, moment: datetime, limit: int) -> Sequence[Job]:
        ended = [j for j in self.jobs.values() if j.finished_at and j.finished_at >= moment]
        return ended[:limit]


@dataclass
class FakeDesk:
    """Every submission becomes one job; ``ends_as`` says in which state ``wait_for`` finds it."""

    folder: Path
    ends_as: JobState = JobState.SUCCEEDED
    ready: bool = True
    failure: WillisError | None = None
    jobs: dict[str, Job] = field(default_factory=dict)
    seen: list[tuple[str, bytes]] = field(default_factory=list)
    options: list[Options] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)
    queue_of_all: FakeQueue = field(default_factory=FakeQueue)

    def __post_init__(self) -> None:
        self.queue_of_all.jobs = self.jobs

    @property
    def queue(self) -> FakeQueue:
        return self.queue_of_all

    def submit_files(
        self,
        files: Iterable[Path],
        pipeline: str,
        priority: Priority | None = None,
        options: Options | None = None,
    ) -> Job:
        self._require(pipeline)
        self.options.append(options or {})
        self.seen = [(path.name, path.read_bytes()) for path in files]
        return self._new(KNOWN_STUDY, pipeline, priority, options)

    def submit_study(
        self,
        study_instance_uid: str,
        pipeline: str,
        priority: Priority | None = None,
        options: Options | None = None,
    ) -> Job:
        self._require(pipeline)
        self.options.append(options or {})
        if study_instance_uid != KNOWN_STUDY:
            raise UnknownStudy("No instance of this study was received. Send it first.")
        return self._new(study_instance_uid, pipeline, priority, options)

    def job(self, job_id: str) -> Job:
        if job_id not in self.jobs:
            raise UnknownJob("No job has this identifier.")
        return self.jobs[job_id]

    def recent_jobs(self, limit: int = 50, state: JobState | None = None) -> Sequence[Job]:
        these = [job for job in self.jobs.values() if state in (None, job.state)]
        return list(reversed(these))[:limit]

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

    def _new(
        self,
        study_instance_uid: str,
        pipeline: str,
        priority: Priority | None,
        options: Options | None,
    ) -> Job:
        job = Job(
            id=f"job-{len(self.jobs) + 1}",
            study_instance_uid=study_instance_uid,
            pipeline=pipeline,
            bundle_version="1.0.0",
            bundle_sha256="0" * 64,
            input_fingerprint="f" * 64,
            state=JobState.QUEUED,
            created_at=START,
            priority=priority or Priority.ROUTINE,
            options=options or {},
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
        kinds = tuple(kind for kind in ResultKind if kind is not ResultKind.RETRACTION)
        for kind in set(kinds) - {ResultKind.FINDINGS}:
            self._write(kind, f"the {kind.name.lower()}".encode())
        return replace(ended, results=kinds)

    def _write(self, kind: ResultKind, content: bytes) -> None:
        (self.folder / kind.value).write_bytes(content)


def _waiting_delivery() -> Delivery:
    return Delivery(
        id="delivery-1",
        job_id="job-1",
        destination="pacs",
        kind=ResultKind.SR,
        object_id="1.2.3.4",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.88.34",
        state=DeliveryState.WAITING,
        priority=Priority.ROUTINE,
        attempts=3,
        planned_at=START,
        next_attempt_at=START + timedelta(seconds=20),
        error_code="UNREACHABLE",
        error_message="PACS@pacs:104 can't be reached: check host, port and firewall.",
    )


@dataclass
class FakeDeliveries:
    """A ledger in memory with one delivery, which waits for its archive."""

    delivery_: Delivery = field(default_factory=_waiting_delivery)
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def deliveries(self, query: DeliveryQuery) -> Sequence[Delivery]:
        self.asked.append(("deliveries", str(query.state)))
        return [self.delivery_] if query.offset == 0 else []

    def delivery(self, delivery_id: str) -> Delivery:
        if delivery_id != self.delivery_.id:
            raise UnknownDelivery("There is no delivery of this id.")
        return self.delivery_

    def retry(self, delivery_id: str, again: bool = False) -> Delivery:
        self.asked.append(("retry", delivery_id, str(again)))
        return self.delivery(delivery_id)

    def drop(self, delivery_id: str) -> Delivery:
        return replace(self.delivery(delivery_id), state=DeliveryState.WITHDRAWN)

    def retract(self, job_id: str, reason: str) -> Job:
        if job_id != "job-1":
            raise UnknownJob("No job has this identifier.")
        identity = ("1.2.3", "aspects", "1.0.0", "0" * 64, "f" * 64)
        job = Job(job_id, *identity, JobState.SUCCEEDED, START)
        return replace(job, retracted_at=START, retraction_reason=reason)

    def destinations(self) -> Sequence[DestinationStatus]:
        counts = {DeliveryState.WAITING: 1}
        return [DestinationStatus("pacs", "dicom", "PACS@pacs:104", "binary", True, True, counts)]


def an_empty_pipeline() -> Pipeline:
    """A pipeline value that only says what it is."""

    def never(*_arguments: object) -> object:
        raise NotImplementedError("This pipeline is for lists only.")

    role = Role(name="ncct", modality="CT", title="Non-contrast CT of the head")
    return Pipeline("aspects", "ASPECTS", (role,), never, never, never)  # type: ignore[arg-type]


def an_app(  # type: ignore[no-untyped-def]
    desk: FakeDesk, config: RestConfig, imaging: Imaging | None = None
):
    """The real application over a fake desk, and a fake room of studies."""
    catalogue = Catalogue(pipelines=(an_empty_pipeline(),), models=list)
    imaging = imaging or fake_imaging(desk.folder)
    telemetry = Metrics(desk.readiness, desk.queue, START)
    deliveries = FakeDeliveries()
    return create_app(desk, config, catalogue, telemetry, imaging=imaging, deliveries=deliveries)
