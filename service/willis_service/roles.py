"""What one process of the service does, in the foreground: receive, keep time, answer, work.

Each function returns after SIGTERM or SIGINT, when what was under way has ended. Each imports its
own parts when it runs: a receiver need not load, and hold, the libraries of a worker.
"""

from __future__ import annotations

import gc
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
import uvicorn

from willis_models.errors import WillisError
from willis_service.adapters.telemetry.logs import configure_logs
from willis_service.bootstrap.core import Core, build_core
from willis_service.settings import Settings
from willis_service.shipped import PipelineSource, shipped_pipelines

_LOG = structlog.get_logger(__name__)
_RECONCILE_EVERY_S = 5.0
_SWEEP_EVERY_S = 3600.0
_REPORT_EVERY_S = 1.0
_SETTLED_S = 2.0
_LAST_ROUND_S = 5.0
OnReady = Callable[[], None]


def _nothing() -> None:
    return


def run_receiver(
    settings: Settings, source: PipelineSource = shipped_pipelines, on_ready: OnReady = _nothing
) -> None:
    """Receive over DICOM."""
    from willis_service.bootstrap.receiving import doors_of, journaled, receiver_of

    _start_logs(settings, "receiver")
    stop = _stop_on_signal()
    core = build_core(settings, source)
    try:
        with journaled(core) as receiving:
            running = receiver_of(receiving).start(*doors_of(settings))
            _spare_the_collector()
            _LOG.info("receiver_listens", host=settings.dicom_bind, ports=running.ports)
            on_ready()
            try:
                stop.wait()
            finally:
                running.stop()
    finally:
        core.database.close()


def run_keeper(
    settings: Settings, source: PipelineSource = shipped_pipelines, on_ready: OnReady = _nothing
) -> None:
    """Keep time: route complete studies, put back lost jobs, raise alarms, tidy up."""
    from willis_service.bootstrap.keeping import keeper_presence_of

    _start_logs(settings, "keeper")
    stop = _stop_on_signal()
    core = build_core(settings, source)
    presence = keeper_presence_of(core)
    rounds = _rounds(core, presence)
    presence.sign_in()
    waiting = (_waiting_rounds(core), stop)
    # A peer that does not answer must not hold up the end; its report is sent after the next start.
    beside = threading.Thread(target=_keep_beside, args=waiting, name="beside", daemon=True)
    beside.start()
    on_ready()
    try:
        _keep_time(rounds, settings.poll_interval_s, stop)
    finally:
        stop.set()
        beside.join(_LAST_ROUND_S)
        presence.sign_out()
        core.database.close()


def run_courier(
    settings: Settings, source: PipelineSource = shipped_pipelines, on_ready: OnReady = _nothing
) -> None:
    """Send results to their destinations."""
    from willis_service.bootstrap.delivering import courier_of

    _start_logs(settings, "courier")
    stop = _stop_on_signal()
    core = build_core(settings, source)
    courier = courier_of(core)
    _LOG.info("courier_ready", destinations=[name for name, _ in courier.lanes])
    on_ready()
    try:
        courier.run(stop)
    finally:
        core.database.close()


def run_api(
    settings: Settings, source: PipelineSource = shipped_pipelines, on_ready: OnReady = _nothing
) -> None:
    """Answer REST."""
    from willis_service.bootstrap.api import build_api

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
    from willis_service.bootstrap.working import worker_of, worker_process_of

    _start_logs(settings, "worker")
    core = build_core(settings, source)
    try:
        worker = worker_of(core)
    except WillisError as error:
        _LOG.error("worker_not_started", code=error.code, reason=error.message)
        raise

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
    "keeper": run_keeper,
    "courier": run_courier,
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


@dataclass
class _Round:
    """Something that the keeper does again and again."""

    task: Callable[[], object]
    every_s: float
    due_s: float = 0.0


def _rounds(core: Core, presence: Callable[[], None]) -> Sequence[_Round]:
    from willis_service.bootstrap.keeping import (
        alarms_of,
        completeness_of,
        reconciler_of,
        sweeper_of,
    )

    return (
        _Round(completeness_of(core), 0.0),
        _Round(reconciler_of(core), _RECONCILE_EVERY_S),
        _Round(alarms_of(core), _RECONCILE_EVERY_S),
        _Round(sweeper_of(core), _SWEEP_EVERY_S),
        # Last: that it beats shows that it gets through its rounds.
        _Round(presence, _RECONCILE_EVERY_S),
    )


def _keep_time(rounds: Sequence[_Round], poll_s: float, stop: threading.Event) -> None:
    while not stop.wait(poll_s):
        for one in rounds:
            if time.monotonic() >= one.due_s:
                _attempt(one.task)
                one.due_s = time.monotonic() + one.every_s


def _waiting_rounds(core: Core) -> Sequence[_Round]:
    """What may have to wait for a disk or a peer."""
    from willis_service.bootstrap.committing import reports_of
    from willis_service.bootstrap.reading import description_of

    describe, report = description_of(core), reports_of(core)
    described = _Round(partial(describe, _SETTLED_S), _RECONCILE_EVERY_S)
    return (described,) if report is None else (described, _Round(report, _REPORT_EVERY_S))


def _keep_beside(rounds: Sequence[_Round], stop: threading.Event) -> None:
    """In a thread of its own: routing never waits for it."""
    while not stop.is_set():
        try:
            _keep_time(rounds, _REPORT_EVERY_S, stop)
        except Exception:
            # Studies are still routed and searches still answered; the next round tries again.
            _LOG.error("round_failed", task="beside", exc_info=True)


def _attempt(task: Callable[[], object]) -> None:
    """One round; a bundle or a broker that is missing now may be there in the next one."""
    try:
        task()
    except WillisError as error:
        _LOG.error("round_failed", task=type(task).__name__, code=error.code)


def _spare_the_collector() -> None:
    """What was made so far stays: without this every full collection walks all imported modules."""
    gc.collect()
    gc.freeze()


def _start_logs(settings: Settings, role: str) -> None:
    configure_logs(settings.log_level, settings.log_format)
    structlog.contextvars.bind_contextvars(role=role)


def _stop_on_signal() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
