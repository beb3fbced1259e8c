"""Studies as those who run the installation see them: state, senders, conflicts, jobs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel

from willis_models.findings import INTENDED_USE_STATEMENT
from willis_service.adapters.rest.schemas import Uid
from willis_service.application.ports.studies import StudyRoom
from willis_service.domain.job import JobState
from willis_service.domain.study import Decision, OutcomeCode, StudyOutcome
from willis_service.domain.study_overview import (
    Conflict,
    JobLine,
    SeriesLine,
    StudyDetails,
    StudyOverview,
    StudyState,
)


class StudyJob(BaseModel):
    """A job of a study."""

    id: str
    pipeline: str
    state: JobState
    error_code: str | None
    created_at: datetime
    link: str

    @classmethod
    def of(cls, job: JobLine) -> StudyJob:
        """The line of one job."""
        return cls(**vars(job), link=f"/jobs/{job.id}")


class DecisionReply(BaseModel):
    """What one pipeline does with the study, why, and why its input was taken as complete."""

    pipeline: str
    job_id: str | None
    complete_because: str | None
    rules: list[str]
    reasons: list[str]

    @classmethod
    def of(cls, decision: Decision) -> DecisionReply:
        """The reply for one pipeline."""
        return cls(
            pipeline=decision.pipeline,
            job_id=decision.job_id,
            complete_because=decision.basis,
            rules=list(decision.rules),
            reasons=list(decision.reasons),
        )


class RoutingReply(BaseModel):
    """What routing decided."""

    code: OutcomeCode
    reason: str
    decided_at: datetime
    decisions: list[DecisionReply]

    @classmethod
    def of(cls, outcome: StudyOutcome) -> RoutingReply:
        """The reply for one outcome."""
        return cls(
            code=outcome.code,
            reason=outcome.reason,
            decided_at=outcome.decided_at,
            decisions=[DecisionReply.of(one) for one in outcome.decisions],
        )


class StudyReply(BaseModel):
    """One study. ``conflicts`` counts instances kept beside other content under the same UID."""

    study_instance_uid: str
    state: StudyState
    routing: RoutingReply | None
    first_received_at: datetime
    last_received_at: datetime
    senders: list[str]
    series: int
    instances: int
    size_bytes: int
    conflicts: int
    jobs: list[StudyJob]
    links: dict[str, str]

    @classmethod
    def of(cls, study: StudyOverview) -> StudyReply:
        """The reply for one study."""
        uid = study.study_instance_uid
        return cls(
            study_instance_uid=uid,
            state=study.state,
            routing=RoutingReply.of(study.outcome) if study.outcome else None,
            first_received_at=study.first_received_at,
            last_received_at=study.last_received_at,
            senders=list(study.senders),
            series=study.series,
            instances=study.instances,
            size_bytes=study.size_bytes,
            conflicts=study.conflicts,
            jobs=[StudyJob.of(job) for job in study.jobs],
            links={"self": f"/studies/{uid}", "dicomweb": f"/dicomweb/studies/{uid}"},
        )


class StudyPage(BaseModel):
    """Studies, the latest to arrive first; ``total`` is how many there are in all."""

    intended_use: str = INTENDED_USE_STATEMENT
    studies: list[StudyReply]
    total: int
    limit: int
    offset: int


class VersionReply(BaseModel):
    """One content under a SOP Instance UID; ``is_used`` for the one that is analysed."""

    sha256: str
    sender: str
    received_at: datetime
    size_bytes: int
    is_used: bool


class ConflictReply(BaseModel):
    """Different contents under one SOP Instance UID: all are kept."""

    sop_instance_uid: str
    series_instance_uid: str
    versions: list[VersionReply]

    @classmethod
    def of(cls, conflict: Conflict) -> ConflictReply:
        """The reply for one conflict."""
        return cls(
            sop_instance_uid=conflict.sop_instance_uid,
            series_instance_uid=conflict.series_instance_uid,
            versions=[VersionReply(**vars(version)) for version in conflict.versions],
        )


class SeriesReply(BaseModel):
    """A received series."""

    series_instance_uid: str
    instances: int
    first_received_at: datetime
    last_received_at: datetime

    @classmethod
    def of(cls, series: SeriesLine) -> SeriesReply:
        """The reply for one series."""
        return cls(**vars(series))


class StudyDetailsReply(BaseModel):
    """A study with its series and its conflicts."""

    intended_use: str = INTENDED_USE_STATEMENT
    study: StudyReply
    series: list[SeriesReply]
    conflicts: list[ConflictReply]

    @classmethod
    def of(cls, details: StudyDetails) -> StudyDetailsReply:
        """The reply for one study."""
        return cls(
            study=StudyReply.of(details.overview),
            series=[SeriesReply.of(one) for one in details.series],
            conflicts=[ConflictReply.of(one) for one in details.conflicts],
        )


def studies_router(room: StudyRoom) -> APIRouter:
    """``/studies`` and ``/studies/{uid}``."""
    router = APIRouter(prefix="/studies", tags=["studies"])

    @router.get("", summary="Studies, the latest to arrive first")
    def studies(
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        offset: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    ) -> StudyPage:
        page, total = room.overviews(limit, offset)
        replies = [StudyReply.of(study) for study in page]
        return StudyPage(studies=replies, total=total, limit=limit, offset=offset)

    @router.get("/{study_instance_uid}", summary="One study, with its conflicts and jobs")
    def study(study_instance_uid: Annotated[Uid, Path()]) -> StudyDetailsReply:
        return StudyDetailsReply.of(room.details(study_instance_uid))

    return router
