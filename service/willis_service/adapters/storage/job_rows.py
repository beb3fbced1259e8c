"""Rows of the job table as jobs, and the conditions that more than one module asks for."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, select

from willis_models.errors import UnknownJob
from willis_service.adapters.storage.tables import JOB
from willis_service.domain.job import (
    Ending,
    Job,
    JobOrder,
    JobState,
    Lease,
    Priority,
    ResultKind,
)

JOB_FIELDS = [JOB.c[field.name] for field in fields(Job)]
OPEN_STATES = (JobState.RECEIVED, JobState.QUEUED, JobState.RUNNING)
ENDED_STATES = (JobState.SUCCEEDED, JobState.REJECTED, JobState.FAILED)


def job_of(row: Row[Any]) -> Job:
    """The job in a row of ``JOB_FIELDS``."""
    values = dict(row._mapping)
    values["state"] = JobState(values["state"])
    values["priority"] = Priority(values["priority"])
    values["results"] = tuple(ResultKind(kind) for kind in values["results"])
    values["options"] = values["options"] or {}
    return Job(**values)


def find_job(connection: Connection, job_id: str) -> Job | None:
    """The job, or None where there is none of this id."""
    row = connection.execute(select(*JOB_FIELDS).where(JOB.c.id == job_id)).first()
    return None if row is None else job_of(row)


def get_job(connection: Connection, job_id: str) -> Job:
    """The job. Raises UnknownJob."""
    job = find_job(connection, job_id)
    if job is None:
        raise UnknownJob("There is no job of this id.")
    return job


def row_of(order: JobOrder, now: datetime) -> dict[str, Any]:
    """The row of a new job."""
    return {
        "id": order.job_id,
        "study_instance_uid": order.study_instance_uid,
        "pipeline": order.pipeline,
        "bundle_version": order.bundle.version,
        "bundle_sha256": order.bundle.sha256,
        "input_fingerprint": order.input_fingerprint,
        **input_values(order),
        "state": JobState.QUEUED,
        "created_at": now,
        "asked_at": now,
        "attempts": 0,
        "results": [],
        "priority": order.priority,
    }


def input_values(order: JobOrder) -> dict[str, Any]:
    """What a run is given: files, their roles, options."""
    return {
        "inputs": list(order.inputs),
        "roles": list(order.roles),
        "options": dict(order.options),
    }


def ending_values(ending: Ending, now: datetime, edition: str | None = None) -> dict[str, Any]:
    """What changes when a job ends. A failure leaves the results alone: they may be a notice."""
    values: dict[str, Any] = {
        "state": ending.state,
        "error_code": ending.error_code,
        "error_message": ending.error_message,
        "finished_at": now,
        "step": None,
        "timings_s": dict(ending.timings_s),
    }
    if ending.state is JobState.FAILED:
        return values
    published = {"results": list(ending.results), "edition": edition, "published_at": now}
    return {**values, **published, "notice_code": None}


def holds(lease: Lease) -> ColumnElement[bool]:
    """Whether the run of this lease is the job's latest and goes on."""
    return and_(
        JOB.c.id == lease.job_id, JOB.c.token == lease.token, JOB.c.state == JobState.RUNNING
    )


def take_turns(connection: Connection, study_instance_uid: str) -> None:
    """Let transactions about the jobs of one study follow each other; SQLite's do so anyway."""
    if connection.dialect.name == "postgresql":
        digest = hashlib.sha256(f"willis job {study_instance_uid}".encode()).digest()
        key = int.from_bytes(digest[:8], "big", signed=True)
        connection.execute(select(func.pg_advisory_xact_lock(key)))
