"""STOW-RS: objects in, each one durable before the answer (PS3.18 10.5)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi import Path as InPath
from fastapi.responses import Response

from willis_models.errors import StorageFull, UploadTooLarge
from willis_service.adapters.rest.config import RestConfig
from willis_service.adapters.rest.dicomweb.accept import DICOM, DICOM_JSON, RELATED, require
from willis_service.adapters.rest.dicomweb.model import dicomweb_url
from willis_service.adapters.rest.dicomweb.related import ReceivedPart, read_related
from willis_service.adapters.rest.schemas import Uid
from willis_service.adapters.rest.security import client_of
from willis_service.adapters.rest.upload_folder import upload_folder
from willis_service.application.ports.studies import UploadTaker
from willis_service.domain.instance import Receipt
from willis_service.domain.upload import Taken, UploadFailure

# PS3.18 table 10.5.3-1 leaves codes to us for what it does not name.
CONFLICT_WARNING = 0xB111
"""WarningReason (0008,1196): kept, beside other content under the same SOP Instance UID."""
_NOT_DICOM = Taken(failure=UploadFailure.NOT_UNDERSTOOD)
_TOO_LARGE = Taken(failure=UploadFailure.TOO_LARGE)
_BODY = {
    "requestBody": {
        "required": True,
        "description": f'Parts of `{DICOM}`; the type names them: `{RELATED}; type="{DICOM}"`.',
        "content": {RELATED: {"schema": {"type": "string", "format": "binary"}}},
    }
}
_ANSWER: dict[str, Any] = {
    "content": {DICOM_JSON: {"schema": {"type": "object"}}},
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "Every object is stored.", **_ANSWER},
    202: {"description": "Stored with warnings, or some objects are not stored.", **_ANSWER},
    409: {"description": "No object is stored; each one has its reason.", **_ANSWER},
}


def store_router(take: UploadTaker, config: RestConfig) -> APIRouter:
    """``POST /studies`` and ``POST /studies/{study}``."""
    router = APIRouter()

    @router.post(
        "/studies",
        summary="Store objects (STOW-RS)",
        response_class=Response,
        responses=_RESPONSES,
        openapi_extra=_BODY,
    )
    async def store(request: Request) -> Response:
        return await _store(request, take, config, None)

    @router.post(
        "/studies/{study}",
        summary="Store objects of one study (STOW-RS)",
        response_class=Response,
        responses=_RESPONSES,
        openapi_extra=_BODY,
    )
    async def store_study(request: Request, study: Annotated[Uid, InPath()]) -> Response:
        return await _store(request, take, config, study)

    return router


async def _store(
    request: Request, take: UploadTaker, config: RestConfig, study: str | None
) -> Response:
    require(request, DICOM_JSON, "application/json")
    _refuse_declared_size(request, config)
    if not await run_sync(take.has_room):
        raise StorageFull("The disk reserve is reached: free space, then send again.")
    sender, outcomes = client_of(request), list[Taken]()
    async with upload_folder(config.upload_folder, "stow-") as folder:
        content_type = request.headers.get("content-type", "")
        async for part in read_related(
            content_type, request.stream(), folder, config.uploads, config.object_bytes
        ):
            outcomes.append(await run_sync(_taken, take, part, sender, study))
    if outcomes and all(one.failure is UploadFailure.OUT_OF_RESOURCES for one in outcomes):
        raise StorageFull("No object was stored: free space, then send again.")
    body = json.dumps(store_response(outcomes, dicomweb_url(request)))
    return Response(body, status_code=_status(outcomes), media_type=DICOM_JSON)


def _taken(take: UploadTaker, part: ReceivedPart, sender: str, study: str | None) -> Taken:
    if part.path is None:
        return _TOO_LARGE
    try:
        if part.media_type not in ("", DICOM):
            return _NOT_DICOM
        return take(part.path, sender, study)
    finally:
        part.path.unlink(missing_ok=True)


def _refuse_declared_size(request: Request, config: RestConfig) -> None:
    declared, limit = request.headers.get("content-length", "0"), config.uploads.body_bytes
    if declared.isdigit() and int(declared) > limit:
        raise UploadTooLarge(f"The request is larger than {limit} bytes.")


def _status(outcomes: Sequence[Taken]) -> HTTPStatus:
    stored = [one for one in outcomes if one.receipt is not None]
    if not stored:
        return HTTPStatus.CONFLICT
    is_clean = len(stored) == len(outcomes) and not any(map(_is_conflict, stored))
    return HTTPStatus.OK if is_clean else HTTPStatus.ACCEPTED


def _is_conflict(one: Taken) -> bool:
    return one.receipt is Receipt.CONFLICT


def store_response(outcomes: Sequence[Taken], base_url: str) -> dict[str, Any]:
    """The Store Instances Response (PS3.18 annex I) in the DICOM JSON model."""
    stored = [_reference(one, base_url) for one in outcomes if one.receipt is not None]
    refused = [one for one in outcomes if one.receipt is None]
    failed = [_failure(one) for one in refused if one.sop_instance_uid]
    unnamed = [_reason(one) for one in refused if not one.sop_instance_uid]
    studies = {one.study_instance_uid for one in outcomes if one.receipt is not None}
    response: dict[str, Any] = {}
    if len(studies) == 1:
        response["00081190"] = _value("UR", f"{base_url}/studies/{studies.pop()}")
    for tag, items in (("00081198", failed), ("00081199", stored), ("0008119A", unnamed)):
        if items:
            response[tag] = {"vr": "SQ", "Value": items}
    return response


def _reference(one: Taken, base_url: str) -> dict[str, Any]:
    item = _names(one)
    item["00081190"] = _value("UR", f"{base_url}/studies/{one.study_instance_uid}")
    if _is_conflict(one):
        item["00081196"] = _value("US", CONFLICT_WARNING)
    return item


def _failure(one: Taken) -> dict[str, Any]:
    return {**_names(one), **_reason(one)}


def _names(one: Taken) -> dict[str, Any]:
    return {
        "00081150": _value("UI", one.sop_class_uid),
        "00081155": _value("UI", one.sop_instance_uid),
    }


def _reason(one: Taken) -> dict[str, Any]:
    return {"00081197": _value("US", int(one.failure or UploadFailure.PROCESSING_FAILURE))}


def _value(vr: str, value: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": [value]}
