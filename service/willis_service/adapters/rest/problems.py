"""Errors as RFC 9457 problem details: one table from error code to HTTP status."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from willis_models.errors import QueueTooLong, WillisError
from willis_models.findings import INTENDED_USE_STATEMENT

MEDIA_TYPE = "application/problem+json"
INTENDED_USE_HEADER = "Willis-Intended-Use"
RETRY_AFTER_S = 30

STATUS_BY_CODE: dict[str, HTTPStatus] = {
    "WILLIS_ERROR": HTTPStatus.INTERNAL_SERVER_ERROR,
    "INPUT_ERROR": HTTPStatus.UNPROCESSABLE_ENTITY,
    "DECODING_FAILED": HTTPStatus.UNPROCESSABLE_ENTITY,
    "GEOMETRY_ERROR": HTTPStatus.UNPROCESSABLE_ENTITY,
    "MISSING_SLICES": HTTPStatus.UNPROCESSABLE_ENTITY,
    "DUPLICATE_SLICES": HTTPStatus.UNPROCESSABLE_ENTITY,
    "MIXED_ORIENTATIONS": HTTPStatus.UNPROCESSABLE_ENTITY,
    "TOO_FEW_SLICES": HTTPStatus.UNPROCESSABLE_ENTITY,
    "UNSUITABLE_SERIES": HTTPStatus.UNPROCESSABLE_ENTITY,
    "NO_SUITABLE_SERIES": HTTPStatus.UNPROCESSABLE_ENTITY,
    "COLOUR_PIXELS": HTTPStatus.UNPROCESSABLE_ENTITY,
    "LOSSY_PIXELS": HTTPStatus.UNPROCESSABLE_ENTITY,
    "WRONG_MODALITY": HTTPStatus.UNPROCESSABLE_ENTITY,
    "NOT_A_HEAD": HTTPStatus.UNPROCESSABLE_ENTITY,
    "CONTRAST_GIVEN": HTTPStatus.UNPROCESSABLE_ENTITY,
    "PATIENT_UNDER_18": HTTPStatus.UNPROCESSABLE_ENTITY,
    "PERFUSION_ERROR": HTTPStatus.UNPROCESSABLE_ENTITY,
    "SCAN_TOO_SHORT": HTTPStatus.UNPROCESSABLE_ENTITY,
    "SAMPLING_TOO_COARSE": HTTPStatus.UNPROCESSABLE_ENTITY,
    "NO_BOLUS": HTTPStatus.UNPROCESSABLE_ENTITY,
    "BOLUS_TRUNCATED": HTTPStatus.UNPROCESSABLE_ENTITY,
    "TOO_MUCH_MOTION": HTTPStatus.UNPROCESSABLE_ENTITY,
    "NO_VESSEL": HTTPStatus.UNPROCESSABLE_ENTITY,
    "ANATOMY_ERROR": HTTPStatus.UNPROCESSABLE_ENTITY,
    "BRAIN_NOT_PLAUSIBLE": HTTPStatus.UNPROCESSABLE_ENTITY,
    "REGISTRATION_FAILED": HTTPStatus.UNPROCESSABLE_ENTITY,
    "BUNDLE_ERROR": HTTPStatus.INTERNAL_SERVER_ERROR,
    "MANIFEST_INVALID": HTTPStatus.INTERNAL_SERVER_ERROR,
    "DIGEST_MISMATCH": HTTPStatus.INTERNAL_SERVER_ERROR,
    "GOLDEN_MISMATCH": HTTPStatus.INTERNAL_SERVER_ERROR,
    "SIGNATURE_MISSING": HTTPStatus.INTERNAL_SERVER_ERROR,
    "SIGNATURE_INVALID": HTTPStatus.INTERNAL_SERVER_ERROR,
    "SIGNER_NOT_TRUSTED": HTTPStatus.INTERNAL_SERVER_ERROR,
    "TRUSTED_KEYS_INVALID": HTTPStatus.INTERNAL_SERVER_ERROR,
    "RESULT_ERROR": HTTPStatus.INTERNAL_SERVER_ERROR,
    "ROUND_TRIP_MISMATCH": HTTPStatus.INTERNAL_SERVER_ERROR,
    "REQUEST_ERROR": HTTPStatus.BAD_REQUEST,
    "UNKNOWN_PIPELINE": HTTPStatus.NOT_FOUND,
    "UNKNOWN_MODEL": HTTPStatus.NOT_FOUND,
    "MODEL_CONFLICT": HTTPStatus.CONFLICT,
    "UNKNOWN_STUDY": HTTPStatus.NOT_FOUND,
    "UNKNOWN_OBJECT": HTTPStatus.NOT_FOUND,
    "UNKNOWN_JOB": HTTPStatus.NOT_FOUND,
    "UNKNOWN_REQUESTER": HTTPStatus.FORBIDDEN,
    "UNKNOWN_DELIVERY": HTTPStatus.NOT_FOUND,
    "RESULT_NOT_READY": HTTPStatus.CONFLICT,
    "RESULT_RETRACTED": HTTPStatus.GONE,
    "DELIVERY_CONFLICT": HTTPStatus.CONFLICT,
    "BAD_OPTION": HTTPStatus.UNPROCESSABLE_ENTITY,
    "BAD_UPLOAD": HTTPStatus.BAD_REQUEST,
    "UPLOAD_TOO_LARGE": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "JOB_NOT_FAILED": HTTPStatus.CONFLICT,
    "SERVICE_ERROR": HTTPStatus.SERVICE_UNAVAILABLE,
    "DATABASE_UNAVAILABLE": HTTPStatus.SERVICE_UNAVAILABLE,
    "QUEUE_TOO_LONG": HTTPStatus.SERVICE_UNAVAILABLE,
    "NO_RESULT_IN_TIME": HTTPStatus.GATEWAY_TIMEOUT,
    "STUDY_NOT_ROUTED": HTTPStatus.INTERNAL_SERVER_ERROR,
    "STORAGE_FULL": HTTPStatus.INSUFFICIENT_STORAGE,
    "BROKER_UNAVAILABLE": HTTPStatus.SERVICE_UNAVAILABLE,
    "DEADLINE_EXCEEDED": HTTPStatus.GATEWAY_TIMEOUT,
    "WORKER_LOST": HTTPStatus.INTERNAL_SERVER_ERROR,
    "DESTINATION_UNREACHABLE": HTTPStatus.BAD_GATEWAY,
    "DESTINATION_REFUSED": HTTPStatus.BAD_GATEWAY,
}


class Problem(BaseModel):
    """RFC 9457 problem details; ``code`` is stable and meant for programs."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    retryable: bool
    intended_use: str = INTENDED_USE_STATEMENT
    errors: list[dict[str, Any]] | None = None
    job: str | None = None


def problem_response(
    code: str,
    status: HTTPStatus,
    detail: str,
    *,
    retryable: bool = False,
    errors: list[dict[str, Any]] | None = None,
    job: str | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """One problem as a response, with the research-use statement in header and body."""
    problem = Problem(
        type=f"urn:willis:problem:{code.lower().replace('_', '-')}",
        title=status.phrase,
        status=status,
        detail=detail,
        code=code,
        retryable=retryable,
        errors=errors,
        job=job,
    )
    sent = {INTENDED_USE_HEADER: INTENDED_USE_STATEMENT, **(headers or {})}
    if retryable:
        sent.setdefault("Retry-After", str(RETRY_AFTER_S))
    body = problem.model_dump(exclude_none=True)
    return JSONResponse(body, status_code=status, headers=sent, media_type=MEDIA_TYPE)


def install_problem_handlers(app: FastAPI) -> None:
    """Answer every error of the tree, of the framework, and every bug, as a problem."""
    app.add_exception_handler(WillisError, _willis_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(Exception, _bug)


async def _willis_error(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, WillisError):
        raise error
    status = STATUS_BY_CODE[error.code]
    wait_s = error.retry_after_s if isinstance(error, QueueTooLong) else RETRY_AFTER_S
    headers = {"Retry-After": str(wait_s)} if error.retryable else None
    return problem_response(
        error.code, status, error.message, retryable=error.retryable, headers=headers
    )


async def _invalid_request(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    # The offending input is left out: it may hold what must not be echoed or logged.
    errors = [
        {"where": ".".join(str(part) for part in item["loc"]), "message": item["msg"]}
        for item in error.errors()
    ]
    detail = "The request does not fit the contract in openapi.yaml; see errors."
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    return problem_response("VALIDATION_FAILED", status, detail, errors=errors)


async def _http_exception(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    status = HTTPStatus(error.status_code)
    headers = dict(error.headers) if error.headers else None
    return problem_response(status.name, status, str(error.detail), headers=headers)


async def _bug(_request: Request, _error: Exception) -> JSONResponse:
    # Starlette raises the error again after this answer, so that it is logged with its trace.
    detail = "A fault in the service. The log holds the trace."
    return problem_response("INTERNAL_SERVER_ERROR", HTTPStatus.INTERNAL_SERVER_ERROR, detail)
