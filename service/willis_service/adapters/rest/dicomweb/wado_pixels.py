"""WADO-RS: frames, long values and pictures of one instance."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi import Path as InPath
from fastapi.responses import Response, StreamingResponse
from starlette.exceptions import HTTPException

from willis_models.errors import DecodingError
from willis_service.adapters.rest.dicomweb.accept import (
    FRAME_TYPES,
    OCTETS,
    RELATED,
    not_acceptable,
    require,
    takes_frame_as_stored,
)
from willis_service.adapters.rest.dicomweb.model import PRIVATE, dicomweb_url, instance_url
from willis_service.adapters.rest.dicomweb.related import SentPart, new_boundary, written
from willis_service.adapters.rest.dicomweb.wado import BINARY, Named
from willis_service.application.ports.studies import Frames, PixelReader, StudyRoom
from willis_service.domain.holdings import HeldObject

_INSTANCE = "/studies/{study}/series/{series}/instances/{instance}"
_PICTURES = ("image/png", "image/jpeg")
_FRAMES_AT_ONCE = 1000
FrameList = Annotated[str, InPath(pattern=r"^[1-9][0-9]{0,6}(,[1-9][0-9]{0,6})*$", max_length=8000)]
Frame = Annotated[int, InPath(ge=1, le=9_999_999)]
BulkTag = Annotated[str, InPath(pattern=r"^[0-9A-Fa-f]{8}$")]


def _gives(*media_types: str) -> dict[str, Any]:
    content = {media_type: BINARY for media_type in media_types}
    responses = {200: {"description": "The bytes.", "content": content}}
    return {"response_class": Response, "responses": responses}


def pixels_router(room: StudyRoom, pixels: PixelReader) -> APIRouter:
    """``/frames``, ``/bulkdata`` and ``/rendered``."""
    router = APIRouter()
    _add_frames(router, room, pixels)
    _add_pictures(router, room, pixels)
    return router


def _add_frames(router: APIRouter, room: StudyRoom, pixels: PixelReader) -> None:
    @router.get(
        _INSTANCE + "/frames/{frames}", summary="Frames of an instance (WADO-RS)", **_gives(RELATED)
    )
    def frames_of(
        request: Request, study: Named, series: Named, instance: Named, frames: FrameList
    ) -> Response:
        held = _one(room, study, series, instance)
        numbers = [int(number) for number in frames.split(",")]
        if len(numbers) > _FRAMES_AT_ONCE:
            detail = f"Ask for {_FRAMES_AT_ONCE} frames at once or fewer."
            raise HTTPException(HTTPStatus.BAD_REQUEST, detail)
        as_stored = takes_frame_as_stored(request, held.transfer_syntax_uid)
        try:
            given = pixels.frames(room.path_of(held), numbers, decoded=not as_stored)
        except DecodingError as error:
            raise not_acceptable("it is stored: ask for transfer-syntax=*") from error
        return _in_parts(given, instance_url(dicomweb_url(request), held), numbers)

    @router.get(
        _INSTANCE + "/bulkdata/{tag}",
        summary="A long value of an instance (WADO-RS)",
        **_gives(RELATED, OCTETS),
    )
    def bulk(
        request: Request, study: Named, series: Named, instance: Named, tag: BulkTag
    ) -> Response:
        held = _one(room, study, series, instance)
        content = _or_406(pixels.bulk, room.path_of(held), tag.upper())
        if require(request, RELATED, OCTETS) == OCTETS:
            return Response(content, media_type=OCTETS, headers=PRIVATE)
        location = f"{instance_url(dicomweb_url(request), held)}/bulkdata/{tag}"
        return _related([SentPart(OCTETS, location, [content])], OCTETS)


def _add_pictures(router: APIRouter, room: StudyRoom, pixels: PixelReader) -> None:
    @router.get(
        _INSTANCE + "/rendered", summary="An instance to look at (WADO-RS)", **_gives(*_PICTURES)
    )
    def rendered(request: Request, study: Named, series: Named, instance: Named) -> Response:
        return picture(request, study, series, instance, 1)

    @router.get(
        _INSTANCE + "/frames/{frame}/rendered",
        summary="A frame to look at (WADO-RS)",
        **_gives(*_PICTURES),
    )
    def rendered_frame(
        request: Request, study: Named, series: Named, instance: Named, frame: Frame
    ) -> Response:
        return picture(request, study, series, instance, frame)

    def picture(request: Request, study: str, series: str, instance: str, frame: int) -> Response:
        media_type = require(request, *_PICTURES)
        path = room.path_of(_one(room, study, series, instance))
        content = _or_406(pixels.rendered, path, frame, media_type)
        return Response(content, media_type=media_type, headers=PRIVATE)


def _one(room: StudyRoom, study: str, series: str, instance: str) -> HeldObject:
    return room.held(study, series, instance)[0]


def _or_406(read: Any, path: Path, *arguments: Any) -> bytes:
    try:
        content: bytes = read(path, *arguments)
    except DecodingError as error:
        raise not_acceptable("a whole object: it has no pixels that can be shown") from error
    return content


def _in_parts(given: Frames, location: str, numbers: list[int]) -> StreamingResponse:
    inner = FRAME_TYPES.get(given.transfer_syntax_uid, OCTETS)
    media_type = f"{inner};transfer-syntax={given.transfer_syntax_uid}"

    def parts() -> Iterator[SentPart]:
        for number, frame in zip(numbers, given.parts, strict=True):
            yield SentPart(media_type, f"{location}/frames/{number}", [frame])

    return _related(parts(), inner)


def _related(parts: Any, inner: str) -> StreamingResponse:
    boundary = new_boundary()
    media_type = f'{RELATED}; type="{inner}"; boundary={boundary}'
    return StreamingResponse(written(parts, boundary), media_type=media_type, headers=PRIVATE)
