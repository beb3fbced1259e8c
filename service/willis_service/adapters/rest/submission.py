"""From a request to ``/predict`` to validated fields and files on disk."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from anyio.to_thread import run_sync
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from willis_models.errors import BadUpload, UploadTooLarge
from willis_service.adapters.rest.archives import unpack_archives
from willis_service.adapters.rest.config import UploadLimits
from willis_service.adapters.rest.multipart import bounded, read_multipart
from willis_service.adapters.rest.schemas import PredictFields
from willis_service.adapters.rest.upload_folder import upload_folder

SMALL_BODY_BYTES = 64 * 1024


@dataclass(frozen=True)
class Submission:
    """What the caller wants analysed: files, or a study already received."""

    fields: PredictFields
    files: tuple[Path, ...]


def carries_files(request: Request) -> bool:
    """Whether the body is an upload."""
    return _media_type(request) == "multipart/form-data"


@asynccontextmanager
async def received(
    request: Request, parent: Path, limits: UploadLimits
) -> AsyncIterator[Submission]:
    """The submission of a request; its files lie below ``parent`` until the block ends."""
    async with upload_folder(parent, "upload-") as folder:
        yield await _read(request, folder, limits)


async def _read(request: Request, folder: Path, limits: UploadLimits) -> Submission:
    content_type = request.headers.get("content-type", "")
    _refuse_declared_size(request, limits)
    kind = _media_type(request)
    if kind == "multipart/form-data":
        form = await read_multipart(content_type, request.stream(), folder, limits)
        files = await run_sync(unpack_archives, form.files, folder, limits)
        return _one_source(_validated(dict(form.fields)), tuple(files))
    body = await _small_body(request)
    if kind == "application/json":
        return _one_source(_validated(_json(body)), ())
    if kind == "application/x-www-form-urlencoded":
        return _one_source(_validated(dict(parse_qsl(body.decode("utf-8", "replace")))), ())
    raise BadUpload("Send multipart/form-data with files, or JSON with study_instance_uid.")


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _refuse_declared_size(request: Request, limits: UploadLimits) -> None:
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > limits.body_bytes:
        raise UploadTooLarge(f"The request is larger than {limits.body_bytes} bytes.")


async def _small_body(request: Request) -> bytes:
    return b"".join([chunk async for chunk in bounded(request.stream(), SMALL_BODY_BYTES)])


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise BadUpload("The body is not valid JSON.") from error


def _validated(values: Any) -> PredictFields:
    try:
        return PredictFields.model_validate(values)
    except ValidationError as error:
        located = [{**item, "loc": ("body", *item["loc"])} for item in error.errors()]
        raise RequestValidationError(located) from error


def _one_source(fields: PredictFields, files: tuple[Path, ...]) -> Submission:
    if bool(files) == (fields.study_instance_uid is not None):
        raise BadUpload("Send either files or study_instance_uid: one of the two.")
    return Submission(fields, files)
