"""The FastAPI application, built from what it needs. There is no global one."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI

from willis_models.findings import INTENDED_USE_STATEMENT
from willis_service.adapters.rest.about import catalogue_router, health_router, metrics_router
from willis_service.adapters.rest.config import Catalogue, RequestTelemetry, RestConfig
from willis_service.adapters.rest.jobs import jobs_router
from willis_service.adapters.rest.middleware import StatedAndCounted
from willis_service.adapters.rest.predict import predict_router
from willis_service.adapters.rest.problems import MEDIA_TYPE, Problem, install_problem_handlers
from willis_service.adapters.rest.security import key_check
from willis_service.application.ports import JobDesk

_DESCRIPTION = f"""Stroke imaging inference: studies in, coded findings, DICOM SEG and SR out.

{INTENDED_USE_STATEMENT}

Errors are RFC 9457 problem details with a stable `code`. All routes but `/healthz` and `/readyz`
need a key, as `X-API-Key` or as a bearer token.
"""


def create_app(
    desk: JobDesk, config: RestConfig, catalogue: Catalogue, telemetry: RequestTelemetry
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
    app.add_middleware(StatedAndCounted, telemetry=telemetry)
    install_problem_handlers(app)
    guarded = [Depends(key_check(config.api_keys))]
    app.include_router(predict_router(desk, config), dependencies=guarded)
    app.include_router(jobs_router(desk), dependencies=guarded)
    app.include_router(catalogue_router(catalogue), dependencies=guarded)
    app.include_router(metrics_router(telemetry), dependencies=guarded)
    app.include_router(health_router(desk))
    return app


def _problem_reply() -> dict[str, Any]:
    return {
        "description": "What went wrong, as problem details.",
        "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}},
    }
