"""A worker process: one slot that runs one job at a time.

The pool is ``solo``: nothing is forked after a GPU runtime started (R20), and a job that breaks its
process is seen by whoever started it. More slots are more processes.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil
import structlog
from celery import Celery, signals
from celery.worker import state

_LOG = structlog.get_logger(__name__)
_MEBIBYTE = 1024 * 1024
_ENDING_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True)
class WorkerProcess:
    """Consumes until SIGTERM, or until its memory has grown.

    The first SIGTERM lets the running job end (R19). A second one, or ``drain_s`` after the first,
    calls ``let_go``, which gives the job back and ends the process.
    """

    app: Celery
    name: str
    on_ready: Callable[[], None]
    let_go: Callable[[], None]
    drain_s: float
    memory_limit_mb: int

    def run(self) -> None:
        """Block until the worker has ended in good order."""
        self.app.finalize()
        self.app.set_current()
        self.app.set_default()

        def ready(**_: object) -> None:
            watch_signals(self.drain_s, self.let_go)
            self.on_ready()

        def retire(**_: object) -> None:
            self._retire_when_grown()

        # A listener is enough to keep Celery from setting up logs of its own over the service's.
        signals.setup_logging.connect(_leave_logs_alone, weak=False)
        signals.worker_ready.connect(ready, weak=False)
        signals.task_postrun.connect(retire, weak=False)
        try:
            self._worker().start()
        finally:
            signals.worker_ready.disconnect(ready)
            signals.task_postrun.disconnect(retire)
            signals.setup_logging.disconnect(_leave_logs_alone)

    def _worker(self) -> Any:
        return self.app.Worker(
            pool="solo",
            hostname=self.name,
            quiet=True,
            loglevel="WARNING",
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )

    def _retire_when_grown(self) -> None:
        used_mb = psutil.Process().memory_info().rss // _MEBIBYTE
        if used_mb > self.memory_limit_mb:
            _LOG.warning("worker_retires", memory_mb=used_mb)
            state.should_stop = 0


def watch_signals(drain_s: float, let_go: Callable[[], None]) -> None:
    """Call ``let_go`` at the second ending signal, or ``drain_s`` after the first.

    Python runs signal handlers in the main thread, and a network that runs there for minutes keeps
    them waiting. What the interpreter writes into a pipe at once is read by a thread of our own.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    watch = threading.Thread(
        target=_watch, args=(reading, drain_s, let_go), name="signal-watch", daemon=True
    )
    watch.start()


def _watch(reading: int, drain_s: float, let_go: Callable[[], None]) -> None:
    _await_ending_signal(reading, None)
    _LOG.info("worker_drains", at_most_s=drain_s)
    _await_ending_signal(reading, time.monotonic() + drain_s)
    let_go()


def _await_ending_signal(reading: int, until_s: float | None) -> None:
    while True:
        left_s = None if until_s is None else max(0.0, until_s - time.monotonic())
        readable, _, _ = select.select([reading], [], [], left_s)
        if not readable or set(os.read(reading, 1)) & set(_ENDING_SIGNALS):
            return


def _leave_logs_alone(**_: object) -> None:
    return
