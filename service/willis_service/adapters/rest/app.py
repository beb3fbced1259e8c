"""The FastAPI application, built from what it needs. There is no global one."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.middleware.cors import CORSMiddleware

from willis_models.findings import INTENDED_USE_STATEMENT
from willis_service.adapters.rest.about import catalogue_router, health_router, metrics_router
from willis_service.adapters.rest.alarms import alarms_router
from willis_service.adapters.rest.config import Catalogue, Imaging, RequestTelemetry, RestConfig
from willis_service.adapters.rest.deliveries import deliveries_router
from willis_service.adapters.rest.dicomweb import dicomweb_router
from willis_service.adapters.rest.jobs import jobs_router
from willis_service.adapters.rest.middleware import StatedAndCounted
from willis_service.adapters.rest.predict import predict_router
from willis_service.adapters.rest.problems import MEDIA_TYPE, Problem, install_problem_handlers
from willis_service.adapters.rest.security import key_check
from willis_service.adapters.rest.studies import studies_router
from willis_service.application.ports import JobDesk
from willis_service.application.ports.delivering import DeliveryDesk

_DESCRIPTION = f"""Stroke imaging inference: studies in, coded findings, DICOM SEG and SR out.

{INTENDED_USE_STATEMENT}

Errors are RFC 9457 problem details with a stable `code`. All routes but `/healthz` and `/readyz`
need a key, as `X-API-Key` or as a bearer token.
"""


def create_app(
    desk: JobDesk,
    config: RestConfig,
    catalogue: Catalogue,
    telemetry: RequestTelemetry,
    *,
    imaging: Imaging,
    deliveries: DeliveryDesk,
) -> FastAPI:
    """The application over this desk. ``/docs`` is off: its page would load from elsewhere."""
    app = FastAPI(
        title="Willis",
        version=version("willis"),
        description=_DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        docs_url=None,
        redoc_url=None,
        responses={"default": _problem_reply()},
    )
    app.state.public_url = config.public_url
    app.add_middleware(StatedAndCounted, telemetry=telemetry)
    if config.cors_origins:
        _let_pages_in(app, config.cors_origins)
    install_problem_handlers(app)
    guarded = [Depends(key_check(config.api_keys, config.api_clients))]
    app.include_router(predict_router(desk, config), dependencies=guarded)
    app.include_router(jobs_router(desk), dependencies=guarded)
    app.include_router(alarms_router(desk), dependencies=guarded)
    app.include_router(deliveries_router(deliveries), dependencies=guarded)
    app.include_router(studies_router(imaging.room), dependencies=guarded)
    app.include_router(dicomweb_router(imaging, config), dependencies=guarded)
    app.include_router(catalogue_router(catalogue), dependencies=guarded)
    app.include_router(metrics_router(telemetry), dependencies=guarded)
    app.include_router(health_router(desk))
    return app


def _let_pages_in(app: FastAPI, origins: Sequence[str]) -> None:
    """Let pages from these origins ask from a browser; they still need a key."""
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(origins),
        allow_methods=["GET", "POST"],
        allow_headers=["Accept", "Authorization", "Content-Type", "X-API-Key"],
        expose_headers=["Location", "Retry-After", "Warning"],
    )


def _problem_reply() -> dict[str, Any]:
    return {
        "description": "What went wrong, as problem details.",
        "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}},
    }
