"""Carries results by STOW-RS: one object a request, so that each has an answer of its own."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from willis_service.adapters.delivery.http_outcome import open_client, outcome_of_post
from willis_service.application.ports.delivering import Parcel, Report
from willis_service.domain.delivery import Outcome, Postponed, Refused, Sent
from willis_service.domain.destinations import StowTarget

_CHUNK_BYTES = 1 << 20
# PS3.18 table 10.5.1-1 and PS3.6: keys of the DICOM JSON answer.
_FAILED, _REFERENCED = "00081198", "00081199"
_FAILURE_REASON, _WARNING_REASON = "00081197", "00081196"
_CONFLICT = 409


@dataclass(frozen=True)
class StowCarrier:
    """A client of one DICOMweb server. ``status`` translates failure reasons, which are DIMSE's."""

    target: StowTarget
    timeout_s: float
    status: Callable[[int | None], Outcome]

    def __call__(self, parcels: Sequence[Parcel], report: Report) -> None:
        """Post one job's objects in order; report each answer as it comes."""
        with open_client(self.timeout_s, self.target.ca_file, self.target.auth) as client:
            for number, parcel in enumerate(parcels):
                outcome = self._post(client, parcel)
                report(parcel, outcome)
                if isinstance(outcome, Postponed) and outcome.is_away:
                    for rest in parcels[number + 1 :]:
                        report(rest, Postponed("NOT_OFFERED", outcome.message, is_away=True))
                    return

    def _post(self, client: httpx.Client, parcel: Parcel) -> Outcome:
        boundary = uuid.uuid4().hex
        head, tail = _frame(boundary)
        length = len(head) + parcel.path.stat().st_size + len(tail)
        headers = {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Content-Length": str(length),
            "Accept": "application/dicom+json",
        }
        url = self.target.url.rstrip("/") + "/studies"

        def post() -> httpx.Response:
            return client.post(url, content=_body(head, parcel.path, tail), headers=headers)

        outcome, response = outcome_of_post(post)
        if response is None or not (isinstance(outcome, Sent) or response.status_code == _CONFLICT):
            return outcome
        return self._instance_outcome(outcome, _json(response), parcel.delivery.object_id)

    def _instance_outcome(self, outcome: Outcome, answer: Any, uid: str) -> Outcome:
        """What the answer says about this instance. A 200 without a body is taken at its word."""
        failed = _reason(answer, _FAILED, _FAILURE_REASON, uid)
        if failed is not None:
            return self.status(failed)
        if isinstance(outcome, Sent):
            warning = _reason(answer, _REFERENCED, _WARNING_REASON, uid)
            return Sent(f"0x{warning:04X}") if warning else outcome
        return Refused("HTTP_409", "The server stored nothing and gave no reason.")


def _frame(boundary: str) -> tuple[bytes, bytes]:
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n"
    return head.encode(), f"\r\n--{boundary}--\r\n".encode()


def _body(head: bytes, path: Path, tail: bytes) -> Iterator[bytes]:
    yield head
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            yield chunk
    yield tail


def _json(response: httpx.Response) -> Any:
    try:
        answer = response.json()
    except ValueError:
        return {}
    return answer[0] if isinstance(answer, list) and answer else answer


def _reason(answer: Any, sequence: str, reason: str, uid: str) -> int | None:
    """The reason that the answer gives for this instance, None where it is not in the sequence."""
    items = answer.get(sequence, {}).get("Value", []) if isinstance(answer, dict) else []
    for item in items:
        if _value(item, "00081155") in (uid, None):
            return int(_value(item, reason) or 0)
    return None


def _value(item: Any, key: str) -> Any:
    values = item.get(key, {}).get("Value") if isinstance(item, dict) else None
    return values[0] if values else None
