"""What one process of the service does: receive, answer REST, or work. All run in the foreground.

Each function returns after SIGTERM or SIGINT, when what was under way has ended.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any

import structlog
import uvicorn

from willis_models.errors import WillisError
from willis_service.adapters.telemetry.logs import configure_logs
from willis_service.application.complete import Reconcile, RouteCompleteStudies
from willis_service.bootstrap import (
    build_api,
    build_core,
    completeness_of,
    receiver_of,
    reconciler_of,
    worker_of,
    worker_process_of,
)
from willis_service.settings import Settings
from willis_service.shipped import PipelineSource, shipped_pipelines

_LOG = structlog.get_logger(__name__)
_RECONCILE_EVERY_S = 5.0
OnReady = Callable[[], None]


def _nothing() -> None:
    return


def run_receiver(
    settings: Settings, source: PipelineSource = shipped_pipelines, on_ready: OnReady = _nothing
) -> None:
    """Receive over DICOM, route complete studies, and put back lost jobs."""
    _start_logs(settings, "receiver")
    stop = _stop_on_signal()
    core = build_core(settings, source)
    running = receiver_of(core).start(settings.dicom_bind, settings.dicom_port)
    _LOG.info("receiver_listens", address=f"{settings.dicom_bind}:{running.port}")
    on_ready()
    try:
        _keep_time(completeness_of(core), reconciler_of(core), settings, stop)
    finally:
        running.stop()
        core.database.close()


def run_api(
    settings: Settings, source: PipelineSource = shipped_pipelines, on_ready: OnReady = _nothing
) -> None:
    """Answer REST."""
    _start_logs(settings, "api")
    app = build_api(settings, source)
    config = uvicorn.Config(
        app,
        host=settings.http_bind,
        port=settings.http_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(settings.sync_wait_limit_s) + 1,
    )
    _Api(config, on_ready).run()


def run_worker(
    settings: Settings, source: PipelineSource = shipped_pipelines, on_ready: OnReady = _nothing
) -> None:
    """Run jobs and send results, one at a time, once the models have proved themselves."""
    _start_logs(settings, "worker")
    core = build_core(settings, source)
    worker = worker_of(core)

    def ready() -> None:
        worker.pulse.start()
        _LOG.info("worker_ready", models=worker.pulse.models)
        on_ready()

    try:
        worker_process_of(core, worker, ready).run()
    finally:
        worker.pulse.stop()
        core.database.close()


ROLES: dict[str, Callable[[Settings, PipelineSource, OnReady], None]] = {
    "receiver": run_receiver,
    "api": run_api,
    "worker": run_worker,
}


class _Api(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config, on_ready: OnReady) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()


def _keep_time(
    complete: RouteCompleteStudies,
    reconcile: Reconcile,
    settings: Settings,
    stop: threading.Event,
) -> None:
    rounds_between = max(1, round(_RECONCILE_EVERY_S / settings.poll_interval_s))
    count = 0
    while not stop.wait(settings.poll_interval_s):
        _attempt(complete)
        if count % rounds_between == 0:
            _attempt(reconcile)
        count += 1


def _attempt(task: Callable[[], object]) -> None:
    """One round; a bundle or a broker that is missing now may be there in the next one."""
    try:
        task()
    except WillisError as error:
        _LOG.error("round_failed", task=type(task).__name__, code=error.code)


def _start_logs(settings: Settings, role: str) -> None:
    configure_logs(settings.log_level, settings.log_format)
    structlog.contextvars.bind_contextvars(role=role)


def _stop_on_signal() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
