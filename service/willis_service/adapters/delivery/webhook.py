"""Tells a web service about results: one signed JSON message each.

``Willis-Signature: t=<unix time>,v1=<hex>`` where ``v1`` is HMAC-SHA256 over ``<t>.<body>`` with
the shared secret. ``docs/delivery.md`` shows how to check it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from willis_models.findings import INTENDED_USE_STATEMENT
from willis_service.adapters.delivery.http_outcome import open_client, outcome_of_post
from willis_service.application.ports.delivering import Parcel, Report
from willis_service.domain.destinations import Secret, WebhookBody, WebhookTarget
from willis_service.domain.job import Job, ResultKind

SCHEMA_VERSION = "1.0"
_FINAL_EVENT = {ResultKind.FINDINGS: "result", ResultKind.RETRACTION: "retraction"}


@dataclass(frozen=True)
class WebhookCarrier:
    """A client of one web service."""

    target: WebhookTarget
    timeout_s: float
    clock: Callable[[], datetime]

    def __call__(self, parcels: Sequence[Parcel], report: Report) -> None:
        """Post one message for each parcel."""
        with open_client(self.timeout_s, self.target.ca_file) as client:
            for parcel in parcels:
                body = self._body(parcel)
                headers = {
                    "Content-Type": "application/json",
                    "Willis-Event": _FINAL_EVENT[parcel.delivery.kind],
                    # The same for every attempt: the receiver can tell a repetition by it.
                    "Willis-Delivery": parcel.delivery.id,
                    "Willis-Signature": signature(self.target.secret, body, self.clock()),
                }
                post = partial(client.post, self.target.url, content=body, headers=headers)
                report(parcel, outcome_of_post(post)[0])

    def _body(self, parcel: Parcel) -> bytes:
        message = message_of(parcel.job, _FINAL_EVENT[parcel.delivery.kind])
        if parcel.delivery.kind is ResultKind.FINDINGS and self.target.body is WebhookBody.FINDINGS:
            message["findings"] = json.loads(parcel.path.read_bytes())
        return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def signature(secret: Secret, body: bytes, now: datetime) -> str:
    """The value of the signature header for this body at this time."""
    seconds = str(int(now.timestamp()))
    digest = hmac.new(secret.value.encode(), seconds.encode() + b"." + body, hashlib.sha256)
    return f"t={seconds},v1={digest.hexdigest()}"


def message_of(job: Job, event: str) -> dict[str, Any]:
    """What every message says: which job, which study, how it ended. No patient attribute."""
    return {
        "schema_version": SCHEMA_VERSION,
        "event": event,
        "job_id": job.id,
        "study_instance_uid": job.study_instance_uid or None,
        "pipeline": job.pipeline,
        "bundle_version": job.bundle_version,
        "bundle_sha256": job.bundle_sha256,
        "state": job.state,
        "priority": job.priority,
        "amends_job_id": job.predecessor_id,
        "finished_at": job.finished_at.isoformat() if job.finished_at else None,
        "error_code": job.error_code,
        "retracted_at": job.retracted_at.isoformat() if job.retracted_at else None,
        "results": [f"/jobs/{job.id}"],
        "intended_use": INTENDED_USE_STATEMENT,
    }
