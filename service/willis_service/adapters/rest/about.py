"""What this installation can do, and how it is."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from willis_service.adapters.rest.config import Catalogue, RequestTelemetry
from willis_service.adapters.rest.schemas import (
    Health,
    ModelList,
    ModelReply,
    PipelineList,
    PipelineReply,
    Readiness,
)
from willis_service.application.ports import JobDesk


def catalogue_router(catalogue: Catalogue) -> APIRouter:
    """``/models`` and ``/pipelines``."""
    router = APIRouter(tags=["catalogue"])

    @router.get("/models", summary="Model bundles: their cards, which one is live, who signed them")
    def models() -> ModelList:
        return ModelList(models=[ModelReply.of(entry) for entry in catalogue.models()])

    @router.get("/pipelines", summary="Pipelines and the series they read")
    def pipelines() -> PipelineList:
        return PipelineList(pipelines=[PipelineReply.of(one) for one in catalogue.pipelines])

    return router


def health_router(desk: JobDesk) -> APIRouter:
    """``/healthz`` and ``/readyz``: open, because probes carry no keys; they name no study."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz", summary="Does the process answer?")
    def healthz() -> Health:
        return Health(status="ok")

    @router.get(
        "/readyz",
        summary="Can it take a study now?",
        response_model=Readiness,
        responses={503: {"model": Readiness, "description": "A part is not ready."}},
    )
    def readyz() -> Response:
        parts = desk.readiness()
        is_ready = all(state == "ok" for state in parts.values())
        status = HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE
        body = Readiness(ready=is_ready, parts=parts).model_dump(mode="json")
        return JSONResponse(body, status_code=status)

    return router


def metrics_router(telemetry: RequestTelemetry) -> APIRouter:
    """``/metrics`` for Prometheus."""
    router = APIRouter(tags=["health"])

    @router.get(
        "/metrics",
        summary="Metrics for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    def metrics() -> Response:
        page, media_type = telemetry.render()
        return Response(page, media_type=media_type)

    return router
