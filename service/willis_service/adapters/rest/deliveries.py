"""The delivery ledger over REST: look, try again, drop, retract."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from willis_service.adapters.rest.schemas import JobId, JobReply, _Reply
from willis_service.application.ports.delivering import (
    DeliveryDesk,
    DeliveryQuery,
    DestinationStatus,
)
from willis_service.domain.delivery import Delivery, DeliveryState
from willis_service.domain.destinations import LONGEST_NAME
from willis_service.domain.job import Priority

DeliveryId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$", max_length=64)]
DestinationName = Annotated[str, Query(max_length=LONGEST_NAME)]


class DeliveryReply(_Reply):
    """One object on its way to one destination."""

    id: str
    job_id: str
    destination: str
    kind: str
    sop_class_uid: str | None
    sop_instance_uid: str | None
    state: DeliveryState
    priority: Priority
    attempts: int
    planned_at: datetime
    next_attempt_at: datetime | None
    attempted_at: datetime | None
    sent_at: datetime | None
    committed_at: datetime | None
    code: str | None
    message: str | None

    @classmethod
    def of(cls, one: Delivery) -> DeliveryReply:
        """The reply for one delivery."""
        is_waiting = one.state in (DeliveryState.PLANNED, DeliveryState.WAITING)
        return cls(
            id=one.id,
            job_id=one.job_id,
            destination=one.destination,
            kind=one.kind.name.lower(),
            sop_class_uid=one.sop_class_uid,
            sop_instance_uid=one.object_id if one.sop_class_uid else None,
            state=one.state,
            priority=one.priority,
            attempts=one.attempts,
            planned_at=one.planned_at,
            next_attempt_at=one.next_attempt_at if is_waiting else None,
            attempted_at=one.attempted_at,
            sent_at=one.sent_at,
            committed_at=one.committed_at,
            code=one.error_code,
            message=one.error_message,
        )


class DeliveryList(_Reply):
    """Deliveries, the latest first."""

    deliveries: list[DeliveryReply]


class DestinationReply(BaseModel):
    """A destination, without its secrets, and how many of its deliveries are in each state."""

    name: str
    kind: str
    address: str
    seg: str
    commitment: bool
    configured: bool
    deliveries: dict[DeliveryState, int]
    owed_since: datetime | None

    @classmethod
    def of(cls, one: DestinationStatus) -> DestinationReply:
        """The reply for one destination."""
        return cls(
            name=one.name,
            kind=one.kind,
            address=one.address,
            seg=one.seg,
            commitment=one.commitment,
            configured=one.is_configured,
            deliveries=dict(one.counts),
            owed_since=one.owed_since,
        )


class DestinationList(_Reply):
    """Every destination that is configured or still owed something."""

    destinations: list[DestinationReply]


class RetractFields(BaseModel):
    """Why a result is withdrawn. The text goes into the DICOM object: name no patient in it."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(min_length=1, max_length=500, pattern=r"\S")]


def deliveries_router(desk: DeliveryDesk) -> APIRouter:
    """``/deliveries``, ``/destinations`` and the retraction of a job."""
    router = APIRouter(tags=["deliveries"])
    _add_reading(router, desk)
    _add_changing(router, desk)
    return router


def _add_reading(router: APIRouter, desk: DeliveryDesk) -> None:
    @router.get("/deliveries", summary="Deliveries, the latest first")
    def deliveries(
        job_id: Annotated[JobId | None, Query(description="Only those of this job.")] = None,
        destination: DestinationName | None = None,
        state: DeliveryState | None = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    ) -> DeliveryList:
        query = DeliveryQuery(job_id, destination, state, limit, offset)
        return DeliveryList(deliveries=[DeliveryReply.of(d) for d in desk.deliveries(query)])

    @router.get("/deliveries/{delivery_id}", summary="One delivery as it stands now")
    def delivery(delivery_id: DeliveryId) -> DeliveryReply:
        return DeliveryReply.of(desk.delivery(delivery_id))

    @router.get("/destinations", summary="Where results go, and how that stands")
    def destinations() -> DestinationList:
        return DestinationList(destinations=[DestinationReply.of(d) for d in desk.destinations()])


def _add_changing(router: APIRouter, desk: DeliveryDesk) -> None:
    @router.post(
        "/deliveries/{delivery_id}/retry",
        status_code=HTTPStatus.ACCEPTED,
        summary="Send it now",
    )
    def retry(
        delivery_id: DeliveryId,
        again: Annotated[
            bool, Query(description="Even though the destination has confirmed it.")
        ] = False,
    ) -> DeliveryReply:
        return DeliveryReply.of(desk.retry(delivery_id, again))

    @router.post("/deliveries/{delivery_id}/drop", summary="Don't send it any more")
    def drop(delivery_id: DeliveryId) -> DeliveryReply:
        return DeliveryReply.of(desk.drop(delivery_id))

    @router.post(
        "/jobs/{job_id}/retract",
        status_code=HTTPStatus.ACCEPTED,
        tags=["jobs"],
        summary="Withdraw a result from everybody who got it",
    )
    def retract(job_id: JobId, fields: RetractFields) -> JobReply:
        """Sends a key object selection "Rejected for Quality Reasons" after the objects.

        Doing it again changes nothing. 409 where there is no result to retract.
        """
        return JobReply.of(desk.retract(job_id, fields.reason))
