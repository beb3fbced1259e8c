"""The bodies of the REST contract."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator

from willis_models.findings import INTENDED_USE_STATEMENT, Findings
from willis_models.manifest import LearntFrom, Threshold
from willis_models.pipelines.base import Pipeline
from willis_service.application.ports.models import ModelEntry
from willis_service.domain.alarm import Alarm, AlarmKind
from willis_service.domain.job import (
    DICOM_MAPS,
    NIFTI_MAPS,
    Job,
    JobState,
    Priority,
    ResultKind,
)
from willis_service.domain.models import ModelRole

DICOM_MAP_ROUTES = {kind: f"maps/{kind}" for kind in DICOM_MAPS.values()}
NIFTI_MAP_ROUTES = {kind: f"maps/{kind}" for kind in NIFTI_MAPS.values()}
RESULT_ROUTES: dict[ResultKind, str] = {
    ResultKind.FINDINGS: "findings",
    ResultKind.SEG: "seg",
    **DICOM_MAP_ROUTES,
    ResultKind.SR: "sr",
    ResultKind.REPORT: "report",
    ResultKind.PICTURE: "picture",
    ResultKind.LABELS: "labels",
    ResultKind.OVERLAYS: "overlays",
    **NIFTI_MAP_ROUTES,
    ResultKind.RETRACTION: "retraction",
}

Uid = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)*$", max_length=64)]
PipelineName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
JobId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$", max_length=128)]
WaitSeconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]


class _Reply(BaseModel):
    intended_use: str = INTENDED_USE_STATEMENT


class PredictFields(BaseModel):
    """What a prediction is asked with, beside the files."""

    model_config = ConfigDict(extra="forbid")

    pipeline: PipelineName
    study_instance_uid: Uid | None = None
    wait_s: WaitSeconds | None = None
    options: Annotated[
        dict[str, JsonValue] | None,
        Field(
            description="What is asked of the pipeline beside the images, such as "
            '{"aif_lps": [10, -20, 35]}. The same study with other options is another job.'
        ),
    ] = None

    @field_validator("options", mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        """A form carries the object as JSON text."""
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError as error:
            raise ValueError("options is a JSON object") from error


class JobError(BaseModel):
    """Why a job was rejected or failed."""

    code: str
    message: str


class Retraction(BaseModel):
    """That a person withdrew the result: nobody may act on it."""

    at: datetime
    reason: str

    @classmethod
    def of(cls, job: Job) -> Retraction | None:
        """The retraction of a job, if there was one."""
        at = job.retracted_at
        return None if at is None else cls(at=at, reason=job.retraction_reason or "")


class JobReply(_Reply):
    """A job as it stands, with links to what it has left so far.

    ``parked``: each attempt ended its worker, and it is not tried again before somebody asks.
    ``notice``: the results only say that there is none, for this reason. ``predecessor`` is the job
    whose result this one amends, ``successor`` the one that superseded it. ``options`` are what was
    asked of the pipeline beside the images, as they were understood.
    """

    id: str
    study_instance_uid: str
    pipeline: str
    bundle_version: str
    bundle_sha256: str
    input_fingerprint: str
    options: dict[str, JsonValue]
    priority: Priority
    state: JobState
    is_final: bool
    parked: bool
    step: str | None
    attempts: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: JobError | None
    notice: str | None
    retraction: Retraction | None
    predecessor: str | None
    successor: str | None
    timings_s: dict[str, float]
    links: dict[str, str]

    @classmethod
    def of(cls, job: Job) -> JobReply:
        """The reply for one job."""
        code, message = job.error_code, job.error_message
        return cls(
            id=job.id,
            study_instance_uid=job.study_instance_uid,
            pipeline=job.pipeline,
            bundle_version=job.bundle_version,
            bundle_sha256=job.bundle_sha256,
            input_fingerprint=job.input_fingerprint,
            options=dict(job.options),
            priority=job.priority,
            state=job.state,
            is_final=job.state.is_final,
            parked=job.is_parked,
            step=job.step,
            attempts=job.attempts,
            created_at=job.created_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
            error=JobError(code=code, message=message or "") if code else None,
            notice=job.notice_code,
            retraction=Retraction.of(job),
            predecessor=job.predecessor_id,
            successor=job.successor_id,
            timings_s=dict(job.timings_s),
            links=links_of(job),
        )


def links_of(job: Job) -> dict[str, str]:
    """Paths of the job and of each of its results; a map goes by its key, such as ``tmax``."""
    own = f"/jobs/{job.id}"
    results = {_link_name(kind): f"{own}/{RESULT_ROUTES[kind]}" for kind in job.results}
    return {"self": own, **results}


def _link_name(kind: ResultKind) -> str:
    # A job has its maps either as DICOM or as NIfTI.
    route = RESULT_ROUTES[kind]
    return kind.partition(".")[0] if route.startswith("maps/") else route


class PredictReply(_Reply):
    """The job, and its findings once there are any."""

    job: JobReply
    findings: Findings | None = None


class JobList(_Reply):
    """The latest jobs, newest first."""

    jobs: list[JobReply]


class AlarmReply(BaseModel):
    """Something that was accepted and has no result."""

    kind: AlarmKind
    code: str
    message: str
    study_instance_uid: str
    job: str | None
    since: datetime

    @classmethod
    def of(cls, alarm: Alarm) -> AlarmReply:
        """The reply for one alarm."""
        return cls(
            kind=alarm.kind,
            code=alarm.code,
            message=alarm.message,
            study_instance_uid=alarm.study_instance_uid,
            job=alarm.job_id,
            since=alarm.since,
        )


class AlarmList(_Reply):
    """What stands now."""

    alarms: list[AlarmReply]


class SignatureReply(BaseModel):
    """Who signed a bundle, and whether it is run for that: only ``valid`` is, by default."""

    state: Literal["valid", "missing", "invalid", "not trusted"]
    signer: str | None


class ModelReply(BaseModel):
    """The card of one model bundle. ``role``: what it is for now."""

    name: str
    version: str
    pipeline: str
    role: ModelRole
    signature: SignatureReply
    bundle_sha256: str
    created: str
    weights_sha256: str
    learnt_from: tuple[LearntFrom, ...]
    thresholds: dict[str, Threshold]
    evaluation: dict[str, Any]
    limits: tuple[str, ...]

    @classmethod
    def of(cls, entry: ModelEntry) -> ModelReply:
        """The reply for one bundle."""
        own = {
            "role": entry.role,
            "signature": {"state": entry.signature, "signer": entry.signer},
            "bundle_sha256": entry.bundle.sha256,
        }
        shared = {n: getattr(entry.manifest, n) for n in cls.model_fields if n not in own}
        return cls.model_validate({**shared, **own})


class ModelList(_Reply):
    """The model bundles of this installation."""

    models: list[ModelReply]


class RoleReply(BaseModel):
    """A series that a pipeline reads."""

    name: str
    modality: str
    title: str
    required: bool
    kind: Literal["volume", "dynamic", "map"]


class PipelineReply(BaseModel):
    """A pipeline and what it needs: all roles of one of the sets in ``needs``.

    ``places`` are the options that are a place, [x, y, z] in LPS mm, each with the role in whose
    images it lies.
    """

    name: str
    title: str
    roles: list[RoleReply]
    needs: list[list[str]]
    places: dict[str, str]

    @classmethod
    def of(cls, pipeline: Pipeline) -> PipelineReply:
        """The reply for one pipeline."""
        roles = [
            RoleReply(
                name=r.name, modality=r.modality, title=r.title, required=r.required, kind=r.kind
            )
            for r in pipeline.roles
        ]
        needs = [sorted(need) for need in pipeline.sufficient]
        return cls(
            name=pipeline.name,
            title=pipeline.title,
            roles=roles,
            needs=needs,
            places=dict(pipeline.places),
        )


class PipelineList(_Reply):
    """The pipelines of this installation."""

    pipelines: list[PipelineReply]


class Health(_Reply):
    """The process answers."""

    status: str


class Readiness(_Reply):
    """Each part of the installation, and "ok" or what is wrong with it."""

    ready: bool
    parts: dict[str, str]
