"""WADO-RS: objects out, as they are stored where the client takes that, and their headers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi import Path as InPath
from fastapi.responses import Response, StreamingResponse

from willis_models.errors import DecodingError
from willis_service.adapters.rest.dicomweb.accept import (
    DICOM,
    DICOM_JSON,
    EXPLICIT_VR_LITTLE_ENDIAN,
    RELATED,
    Form,
    instance_form,
    not_acceptable,
    require,
)
from willis_service.adapters.rest.dicomweb.model import (
    PRIVATE,
    dicomweb_url,
    instance_url,
    json_reply,
)
from willis_service.adapters.rest.dicomweb.related import (
    SentPart,
    file_content,
    new_boundary,
    written,
)
from willis_service.adapters.rest.schemas import Uid
from willis_service.application.ports.studies import PixelReader, StudyRoom
from willis_service.domain.holdings import Attributes, HeldObject

Named = Annotated[Uid, InPath()]
BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_OBJECTS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The objects.", "content": {RELATED: BINARY, DICOM: BINARY}}
}
_HEADERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The headers, in the DICOM JSON model.",
        "content": {DICOM_JSON: {"schema": {"type": "array", "items": {"type": "object"}}}},
    }
}
_OBJECT_ROUTE: dict[str, Any] = {"response_class": Response, "responses": _OBJECTS}
_HEADER_ROUTE: dict[str, Any] = {"response_class": Response, "responses": _HEADERS}


def retrieve_router(room: StudyRoom, pixels: PixelReader) -> APIRouter:
    """Objects and headers of a study, a series, an instance."""
    router = APIRouter()
    _add_objects(router, _Retrieval(room, pixels))
    _add_headers(router, room)
    return router


def _add_objects(router: APIRouter, retrieve: _Retrieval) -> None:
    @router.get("/studies/{study}", summary="Retrieve a study (WADO-RS)", **_OBJECT_ROUTE)
    def study_objects(request: Request, study: Named) -> Response:
        return retrieve(request, study)

    @router.get(
        "/studies/{study}/series/{series}", summary="Retrieve a series (WADO-RS)", **_OBJECT_ROUTE
    )
    def series_objects(request: Request, study: Named, series: Named) -> Response:
        return retrieve(request, study, series)

    @router.get(
        "/studies/{study}/series/{series}/instances/{instance}",
        summary="Retrieve an instance (WADO-RS)",
        **_OBJECT_ROUTE,
    )
    def one_object(request: Request, study: Named, series: Named, instance: Named) -> Response:
        return retrieve(request, study, series, instance)


def _add_headers(router: APIRouter, room: StudyRoom) -> None:
    def headers(
        request: Request, study: str, series: str | None = None, instance: str | None = None
    ) -> StreamingResponse:
        require(request, DICOM_JSON, "application/json")
        held, base = room.held(study, series, instance), dicomweb_url(request)
        return json_reply(_headers(room, held, base))

    @router.get(
        "/studies/{study}/metadata", summary="Headers of a study (WADO-RS)", **_HEADER_ROUTE
    )
    def study_headers(request: Request, study: Named) -> StreamingResponse:
        return headers(request, study)

    @router.get(
        "/studies/{study}/series/{series}/metadata",
        summary="Headers of a series (WADO-RS)",
        **_HEADER_ROUTE,
    )
    def series_headers(request: Request, study: Named, series: Named) -> StreamingResponse:
        return headers(request, study, series)

    @router.get(
        "/studies/{study}/series/{series}/instances/{instance}/metadata",
        summary="Header of an instance (WADO-RS)",
        **_HEADER_ROUTE,
    )
    def one_header(
        request: Request, study: Named, series: Named, instance: Named
    ) -> StreamingResponse:
        return headers(request, study, series, instance)


def _headers(room: StudyRoom, held: Sequence[HeldObject], base: str) -> Iterator[Attributes]:
    for one in held:
        try:
            yield room.header(one, instance_url(base, one))
        except DecodingError:
            continue  # it can be retrieved, and says nothing that a viewer could show


class _Retrieval:
    """Objects from request to answer."""

    def __init__(self, room: StudyRoom, pixels: PixelReader) -> None:
        self._room, self._pixels = room, pixels

    def __call__(
        self, request: Request, study: str, series: str | None = None, sop: str | None = None
    ) -> Response:
        held = self._room.held(study, series, sop)
        form = instance_form(request, len(held))
        if not form.takes_plain and not all(
            form.takes_as_stored(one.transfer_syntax_uid) for one in held
        ):
            raise not_acceptable('stored, with transfer-syntax="*"')
        # Each file is looked for before the answer begins, and the first one is converted.
        paths = [self._room.path_of(one) for one in held]
        parts = self._parts(held, paths, form, dicomweb_url(request))
        first = next(parts)
        if not form.is_multipart:
            return StreamingResponse(
                iter(first.content), media_type=first.media_type, headers=PRIVATE
            )
        boundary = new_boundary()
        media_type = f'{RELATED}; type="{DICOM}"; boundary={boundary}'
        body = written(_joined(first, parts), boundary)
        return StreamingResponse(body, media_type=media_type, headers=PRIVATE)

    def _parts(
        self, held: Sequence[HeldObject], paths: Sequence[Path], form: Form, base: str
    ) -> Iterator[SentPart]:
        for one, path in zip(held, paths, strict=True):
            syntax, content = self._content(one, path, form)
            media_type = f"{DICOM};transfer-syntax={syntax}"
            yield SentPart(media_type, instance_url(base, one), content)

    def _content(
        self, held: HeldObject, path: Path, form: Form
    ) -> tuple[str, Iterator[bytes] | list[bytes]]:
        if form.takes_as_stored(held.transfer_syntax_uid):
            return held.transfer_syntax_uid, file_content(path)
        try:
            return EXPLICIT_VR_LITTLE_ENDIAN, [self._pixels.plain(path)]
        except DecodingError as error:
            raise not_acceptable('stored, with transfer-syntax="*"') from error


def _joined(first: SentPart, others: Iterator[SentPart]) -> Iterator[SentPart]:
    yield first
    yield from others
