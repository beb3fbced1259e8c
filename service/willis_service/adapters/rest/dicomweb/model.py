"""Answers in the DICOM JSON model, and the addresses of what they name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from fastapi import Request
from fastapi.responses import StreamingResponse

from willis_service.adapters.rest.dicomweb.accept import DICOM_JSON
from willis_service.domain.holdings import Attributes, HeldObject

# What a reader sees may be superseded a moment later.
PRIVATE = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}


def value(vr: str, one: Any) -> dict[str, Any]:
    """An element with one value."""
    return {"vr": vr, "Value": [one]}


def dicomweb_url(request: Request) -> str:
    """Where DICOMweb lies: below the configured address, else as this client reached us."""
    base_url: str = request.app.state.public_url or str(request.base_url)
    return f"{base_url.rstrip('/')}/dicomweb"


def study_url(base: str, study: str) -> str:
    """Where a study lies."""
    return f"{base}/studies/{study}"


def series_url(base: str, study: str, series: str) -> str:
    """Where a series lies."""
    return f"{base}/studies/{study}/series/{series}"


def instance_url(base: str, held: HeldObject) -> str:
    """Where an instance lies."""
    above = series_url(base, held.study_instance_uid, held.series_instance_uid)
    return f"{above}/instances/{held.sop_instance_uid}"


def json_reply(found: Iterable[Attributes], warnings: Sequence[str] = ()) -> StreamingResponse:
    """A JSON array, written one item after the other."""
    headers = {**PRIVATE, **({"Warning": ", ".join(warnings)} if warnings else {})}
    return StreamingResponse(_array(found), media_type=DICOM_JSON, headers=headers)


def _array(found: Iterable[Attributes]) -> Iterator[str]:
    yield "["
    for number, attributes in enumerate(found):
        yield ("," if number else "") + json.dumps(attributes, ensure_ascii=False, allow_nan=False)
    yield "]"
