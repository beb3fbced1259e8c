"""QIDO-RS: searches, answered from the index of headers (PS3.18 10.6)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from fastapi.responses import StreamingResponse
from starlette.exceptions import HTTPException

from willis_models.errors import WillisError
from willis_service.adapters.rest.dicomweb.accept import DICOM_JSON, require
from willis_service.adapters.rest.dicomweb.model import (
    dicomweb_url,
    instance_url,
    json_reply,
    series_url,
    study_url,
    value,
)
from willis_service.adapters.rest.schemas import Uid
from willis_service.application.ports.studies import StudyRoom
from willis_service.domain.holdings import (
    INSTANCE_ATTRIBUTES,
    MATCH_KEYS,
    SERIES_ATTRIBUTES,
    STUDY_ATTRIBUTES,
    Attributes,
    FoundSeries,
    FoundStudy,
    HeldObject,
    Level,
    Search,
)

LONGEST_ANSWER = {Level.STUDIES: 1000, Level.SERIES: 1000, Level.INSTANCES: 5000}
_LARGEST_OFFSET = 2**31 - 1
_LEVELS = tuple(Level)
_KEYWORD_OF = {tag: keyword for keyword, (tag, _) in MATCH_KEYS.items()}
_NOT_MATCHED = {"limit", "offset", "includefield", "fuzzymatching"}
_DATES = re.compile(r"\d{8}|\d{8}-(\d{8})?|-\d{8}")
_LONGEST_VALUE = 1024
_PRINTABLE = r"^[^\x00-\x1f]*$"
_MORE = '299 willis: "There are additional results that can be requested."'
_NOT_FUZZY = '299 willis: "The fuzzymatching parameter is not supported. Only literal matching."'

Limit = Annotated[int | None, Query(ge=1, le=LONGEST_ANSWER[Level.INSTANCES])]
Offset = Annotated[int, Query(ge=0, le=_LARGEST_OFFSET)]
Study = Annotated[Uid, InPath()]
Series = Annotated[Uid, InPath()]
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "What was found, in the DICOM JSON model.",
        "content": {DICOM_JSON: {"schema": {"type": "array", "items": {"type": "object"}}}},
    }
}


def _options(summary: str, level: Level) -> dict[str, Any]:
    keys = [keyword for keyword, (_, of) in MATCH_KEYS.items() if _applies(of, level)]
    text = {"type": "string", "maxLength": _LONGEST_VALUE, "pattern": _PRINTABLE}
    parameters = [
        {"name": keyword, "in": "query", "required": False, "schema": _schema(keyword, text)}
        for keyword in keys
    ]
    fields = {"name": "includefield", "in": "query", "required": False, "schema": text}
    fuzzy = {
        "name": "fuzzymatching",
        "in": "query",
        "required": False,
        "schema": {"type": "string", "enum": ["true", "false"]},
    }
    return {
        "summary": summary,
        "response_class": StreamingResponse,
        "responses": _RESPONSES,
        "openapi_extra": {"parameters": [*parameters, fields, fuzzy]},
    }


def _schema(keyword: str, text: Mapping[str, Any]) -> Mapping[str, Any]:
    if keyword == "StudyDate":
        return {"type": "string", "pattern": f"^({_DATES.pattern})$"}
    return text


def search_router(room: StudyRoom) -> APIRouter:
    """The search routes of the three levels."""
    router = APIRouter()
    search = _Searcher(room)
    _add_whole_installation(router, search)
    _add_within_study(router, search)
    return router


def _add_whole_installation(router: APIRouter, search: _Searcher) -> None:
    @router.get("/studies", **_options("Search studies (QIDO-RS)", Level.STUDIES))
    def studies(request: Request, limit: Limit = None, offset: Offset = 0) -> StreamingResponse:
        return search(request, Level.STUDIES, limit, offset)

    @router.get("/series", **_options("Search series (QIDO-RS)", Level.SERIES))
    def series(request: Request, limit: Limit = None, offset: Offset = 0) -> StreamingResponse:
        return search(request, Level.SERIES, limit, offset)

    @router.get("/instances", **_options("Search instances (QIDO-RS)", Level.INSTANCES))
    def instances(request: Request, limit: Limit = None, offset: Offset = 0) -> StreamingResponse:
        return search(request, Level.INSTANCES, limit, offset)


def _add_within_study(router: APIRouter, search: _Searcher) -> None:
    @router.get(
        "/studies/{study}/series", **_options("Search series of a study (QIDO-RS)", Level.SERIES)
    )
    def series_of_study(
        request: Request, study: Study, limit: Limit = None, offset: Offset = 0
    ) -> StreamingResponse:
        return search(request, Level.SERIES, limit, offset, study)

    @router.get(
        "/studies/{study}/instances",
        **_options("Search instances of a study (QIDO-RS)", Level.INSTANCES),
    )
    def instances_of_study(
        request: Request, study: Study, limit: Limit = None, offset: Offset = 0
    ) -> StreamingResponse:
        return search(request, Level.INSTANCES, limit, offset, study)

    @router.get(
        "/studies/{study}/series/{series}/instances",
        **_options("Search instances of a series (QIDO-RS)", Level.INSTANCES),
    )
    def instances_of_series(
        request: Request, study: Study, series: Series, limit: Limit = None, offset: Offset = 0
    ) -> StreamingResponse:
        return search(request, Level.INSTANCES, limit, offset, study, series)


class _Searcher:
    """One search from request to answer."""

    def __init__(self, room: StudyRoom) -> None:
        self._room = room

    def __call__(
        self,
        request: Request,
        level: Level,
        limit: int | None,
        offset: int,
        study: str | None = None,
        series: str | None = None,
    ) -> StreamingResponse:
        require(request, DICOM_JSON, "application/json")
        match = matching(request.query_params.multi_items(), level)
        within = {"StudyInstanceUID": study, "SeriesInstanceUID": series}
        match |= {keyword: uid for keyword, uid in within.items() if uid is not None}
        most = min(limit or LONGEST_ANSWER[level], LONGEST_ANSWER[level])
        # One more than is given out tells whether there are more.
        search = Search(match, most + 1, offset)
        found = self._found(request, level, search, study, series)
        warnings = [_NOT_FUZZY] if request.query_params.get("fuzzymatching") == "true" else []
        if len(found) > most:
            warnings.append(_MORE)
        return json_reply((describe() for describe in found[:most]), warnings)

    def _found(
        self,
        request: Request,
        level: Level,
        search: Search,
        study: str | None,
        series: str | None,
    ) -> Sequence[Callable[[], Attributes]]:
        base = dicomweb_url(request)
        if level is Level.STUDIES:
            return [_later(study_answer, f, base) for f in self._room.find_studies(search)]
        if level is Level.SERIES:
            of_study = study is not None
            return [
                _later(series_answer, f, base, of_study) for f in self._room.find_series(search)
            ]
        wanted = _wanted(request, study, series)
        return [
            _later(self._instance_answer, f, base, wanted) for f in self._room.find_objects(search)
        ]

    def _instance_answer(
        self, held: HeldObject, base: str, wanted: frozenset[str] | None
    ) -> Attributes:
        try:
            header = self._room.header(held)
        except (WillisError, OSError):
            header = {}  # damaged, or gone since: what the index says of it is still true
        kept = {tag: v for tag, v in header.items() if wanted is None or tag in wanted}
        return {
            **kept,
            "00080016": value("UI", held.sop_class_uid),
            "00080018": value("UI", held.sop_instance_uid),
            "00080056": value("CS", "ONLINE"),
            "00081190": value("UR", instance_url(base, held)),
            "00083002": value("UI", held.transfer_syntax_uid),
            "0020000D": value("UI", held.study_instance_uid),
            "0020000E": value("UI", held.series_instance_uid),
        }


def _later(make: Callable[..., Attributes], *arguments: Any) -> Callable[[], Attributes]:
    """Made only as it is written out: an answer is never held as a whole."""
    return lambda: make(*arguments)


def study_answer(found: FoundStudy, base: str) -> Attributes:
    """A study as a search gives it (PS3.18 table 10.6.3-3)."""
    return {
        **found.attributes,
        "00080056": value("CS", "ONLINE"),
        "00080061": {"vr": "CS", "Value": list(found.modalities)},
        "00081190": value("UR", study_url(base, found.study_instance_uid)),
        "0020000D": value("UI", found.study_instance_uid),
        "00201206": value("IS", found.series),
        "00201208": value("IS", found.instances),
    }


def series_answer(found: FoundSeries, base: str, of_study: bool) -> Attributes:
    """A series as a search gives it (PS3.18 table 10.6.3-4)."""
    uids = (found.study_instance_uid, found.series_instance_uid)
    return {
        **({} if of_study else found.study_attributes),
        **found.attributes,
        "00081190": value("UR", series_url(base, *uids)),
        "0020000D": value("UI", found.study_instance_uid),
        "0020000E": value("UI", found.series_instance_uid),
        "00201209": value("IS", found.instances),
    }


def matching(given: Sequence[tuple[str, str]], level: Level) -> dict[str, str]:
    """What a search is to match; keys are keywords or tags. Raises 400 for what can't be matched.

    A key that was ignored would make the answer a wrong one. An empty value matches everything.
    """
    match: dict[str, str] = {}
    for key, text in given:
        if key in _NOT_MATCHED:
            continue
        keyword = _KEYWORD_OF.get(key.upper(), key)
        if keyword not in MATCH_KEYS or not _applies(MATCH_KEYS[keyword][1], level):
            known = ", ".join(k for k, (_, of) in MATCH_KEYS.items() if _applies(of, level))
            raise _bad(f"These can be matched among {level}: {known}.")
        if keyword == "StudyDate" and text and not _DATES.fullmatch(text):
            raise _bad("Write a StudyDate as 20260131, 20260101-20260131, -20260131 or 20260101-.")
        if len(text) > _LONGEST_VALUE or not re.fullmatch(_PRINTABLE, text):
            raise _bad(f"A value has at most {_LONGEST_VALUE} characters, and none of control.")
        if text and text != "*":
            match[keyword] = text
    return match


def _applies(of: Level, level: Level) -> bool:
    return _LEVELS.index(of) <= _LEVELS.index(level)


def _bad(detail: str) -> HTTPException:
    return HTTPException(HTTPStatus.BAD_REQUEST, detail)


def _wanted(request: Request, study: str | None, series: str | None) -> frozenset[str] | None:
    """The tags of an instance that are given out; None for all of them."""
    fields = set(_fields(request.query_params.getlist("includefield")))
    if "ALL" in fields:
        return None
    above = [*(() if study else STUDY_ATTRIBUTES), *(() if series else SERIES_ATTRIBUTES)]
    return frozenset({*INSTANCE_ATTRIBUTES, *above, *fields})


def _fields(given: Sequence[str]) -> Iterator[str]:
    for text in given:
        for name in text.split(","):
            yield MATCH_KEYS.get(name, (name.upper(), None))[0]
