"""What every reply gets: the research-use statement, and a place in the request metrics."""

from __future__ import annotations

import time

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from willis_models.findings import INTENDED_USE_STATEMENT
from willis_service.adapters.rest.config import RequestTelemetry
from willis_service.adapters.rest.problems import INTENDED_USE_HEADER


class StatedAndCounted:
    """ASGI middleware that adds the statement's header and observes status and duration."""

    def __init__(self, app: ASGIApp, telemetry: RequestTelemetry) -> None:
        self._app = app
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def stating(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[INTENDED_USE_HEADER] = INTENDED_USE_STATEMENT
            await send(message)

        try:
            await self._app(scope, receive, stating)
        finally:
            self._count(scope, status, time.perf_counter() - started)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        # The template, never the path: paths hold job identifiers and would grow without bound.
        route = getattr(scope.get("route"), "path", "unmatched")
        self._telemetry.observe_request(scope["method"], route, status, seconds)
