"""A worker process: one slot that runs one job at a time.

The pool is ``solo``: nothing is forked after a GPU runtime started (R20), and a job that breaks its
process is seen by whoever started it. More slots are more processes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil
import structlog
from celery import Celery, signals
from celery.worker import state

_LOG = structlog.get_logger(__name__)
_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class WorkerProcess:
    """Consumes until SIGTERM (which lets the running job end) or until its memory has grown."""

    app: Celery
    name: str
    on_ready: Callable[[], None]
    memory_limit_mb: int

    def run(self) -> None:
        """Block until the worker has ended in good order."""
        self.app.finalize()
        self.app.set_current()
        self.app.set_default()

        def ready(**_: object) -> None:
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


def _leave_logs_alone(**_: object) -> None:
    return
