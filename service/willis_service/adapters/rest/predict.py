"""``POST /predict``: a study in, findings out, now or later."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from anyio import CapacityLimiter, WouldBlock
from anyio.to_thread import run_sync
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from willis_models.findings import Findings
from willis_service.adapters.rest.config import RestConfig
from willis_service.adapters.rest.problems import STATUS_BY_CODE, problem_response
from willis_service.adapters.rest.schemas import (
    JobReply,
    PredictFields,
    PredictReply,
    WaitSeconds,
)
from willis_service.adapters.rest.submission import Submission, carries_files, received
from willis_service.application.ports import JobDesk
from willis_service.domain.job import Job, JobState, Priority, ResultKind

_FILES = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "string", "format": "binary"},
    "description": "DICOM files, one zip of them, one NIfTI file, or several whose names end in "
    "what they show (_ctp, _tmax, _cbf, _cbv, _mtt, _ncct, _cta), with a JSON sidecar or without. "
    "Any part with a file name counts as a file.",
}


def _request_body() -> dict[str, Any]:
    schemas = PredictFields.model_json_schema()["properties"]
    # A form has no null: there, a field that is not wanted is left out.
    uid, wait_s = (schemas[name]["anyOf"][0] for name in ("study_instance_uid", "wait_s"))
    options = {"type": "string", "description": f"JSON: {schemas['options']['description']}"}
    form = {"pipeline": schemas["pipeline"], "wait_s": wait_s, "options": options}
    by_form = _object({**form, "study_instance_uid": uid}, "study_instance_uid")
    by_json = _object({**schemas, "study_instance_uid": uid}, "study_instance_uid")
    return {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": _object({**form, "files": _FILES}, "files")},
            "application/json": {"schema": by_json},
            "application/x-www-form-urlencoded": {"schema": by_form},
        },
    }


def _object(properties: dict[str, Any], source: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": ["pipeline", source],
        "additionalProperties": False,
    }


def predict_router(desk: JobDesk, config: RestConfig) -> APIRouter:
    """The route, over this desk and with these limits."""
    router = APIRouter(tags=["predict"])
    waiting = CapacityLimiter(config.waiting_callers)

    @router.post(
        "/predict",
        summary="Analyse a study",
        response_model=PredictReply,
        responses={202: {"model": PredictReply, "description": "Queued; see Location."}},
        openapi_extra={"requestBody": _request_body()},
    )
    async def predict(
        request: Request,
        wait_s: Annotated[
            WaitSeconds | None, Query(description="How long to wait for the result, in seconds.")
        ] = None,
        priority: Annotated[
            Priority | None,
            Query(description="The lane; left out, the rules of the installation say."),
        ] = None,
    ) -> Response:
        """Send files, or name a study already received, and get its findings.

        Answers 200 with the findings when the job ends within ``wait_s`` (bounded by the
        installation's limit, which is also the default), else 202 with the job's ``Location``.
        Answers 503 with ``Retry-After`` while what waits would take longer than the objective;
        urgent requests have an allowance of their own.
        """
        if carries_files(request):
            # Before the upload is read: a sender should not send gigabytes to hear a refusal.
            await run_sync(desk.queue.admit, priority or Priority.ROUTINE)
        async with received(request, config.upload_folder, config.uploads) as submission:
            job = await run_sync(_submit, desk, submission, priority)
        asked_s = submission.fields.wait_s if wait_s is None else wait_s
        wait_for_s = config.sync_limit_s if asked_s is None else min(asked_s, config.sync_limit_s)
        job = await _waited(desk, job, wait_for_s, waiting)
        return await run_sync(_reply, desk, job)

    return router


def _submit(desk: JobDesk, submission: Submission, priority: Priority | None) -> Job:
    fields = submission.fields
    asked = (fields.pipeline, priority, fields.options)
    if fields.study_instance_uid is not None:
        return desk.submit_study(fields.study_instance_uid, *asked)
    return desk.submit_files(submission.files, *asked)


async def _waited(desk: JobDesk, job: Job, seconds: float, waiting: CapacityLimiter) -> Job:
    """The job after waiting; where too many callers wait already, the job as it stands."""
    if job.state.is_final or seconds <= 0:
        return job
    # Tokens are held by this object, not by the task: one task may hold several.
    holder = object()
    try:
        waiting.acquire_on_behalf_of_nowait(holder)
    except WouldBlock:
        return job
    try:
        return await run_sync(desk.wait_for, job.id, seconds, limiter=CapacityLimiter(1))
    finally:
        waiting.release_on_behalf_of(holder)


def _reply(desk: JobDesk, job: Job) -> Response:
    location = {"Location": f"/jobs/{job.id}"}
    if job.state is JobState.FAILED:
        code = job.error_code or "WILLIS_ERROR"
        status = STATUS_BY_CODE.get(code, HTTPStatus.INTERNAL_SERVER_ERROR)
        detail = job.error_message or "The analysis failed."
        return problem_response(code, status, detail, job=job.id, headers=location)
    body = PredictReply(job=JobReply.of(job), findings=_findings(desk, job))
    status = HTTPStatus.OK if job.state.is_final else HTTPStatus.ACCEPTED
    return JSONResponse(body.model_dump(mode="json"), status_code=status, headers=location)


def _findings(desk: JobDesk, job: Job) -> Findings | None:
    # While a job goes on, its results are at most a notice that there is none yet.
    if not job.state.is_final or ResultKind.FINDINGS not in job.results:
        return None
    path = desk.result_path(job.id, ResultKind.FINDINGS)
    return Findings.model_validate_json(path.read_bytes())
