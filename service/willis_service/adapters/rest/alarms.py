"""``GET /alarms``: what was accepted and has no result."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from willis_service.adapters.rest.schemas import AlarmList, AlarmReply
from willis_service.application.ports import JobDesk


def alarms_router(desk: JobDesk) -> APIRouter:
    """The route, over this desk."""
    router = APIRouter(tags=["jobs"])

    @router.get("/alarms", summary="What was accepted and has no result")
    def alarms(limit: Annotated[int, Query(ge=1, le=500)] = 100) -> AlarmList:
        """Too long a backlog, studies that could not be routed, jobs that failed or are late.

        An alarm stands until there is a result. `POST /jobs/{id}/retry` tries a failed job again.
        """
        return AlarmList(alarms=[AlarmReply.of(alarm) for alarm in desk.queue.alarms(limit)])

    return router
