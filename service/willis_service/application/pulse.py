"""A worker's signs of life, and the watchdog that ends a run which hangs."""

from __future__ import annotations

import faulthandler
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

from willis_service.application.ports import Clock, LifeSigns, RunSigns
from willis_service.domain.job import Run

_LOG = structlog.get_logger(__name__)


@dataclass
class Pulse:
    """Beats for the worker, and for the run that it is at, from a thread of its own.

    A run gets ``deadline_s``. The runner ends it between steps; one that hangs within a step, even
    inside a library, takes its whole process down shortly after, with the stacks of all threads on
    standard error. The reconciler then finds the job.
    """

    worker_id: str
    models: tuple[str, ...]
    workers: LifeSigns
    runs: RunSigns
    clock: Clock
    interval_s: float
    deadline_s: float
    grace_s: float = 5.0
    _run: Run | None = None
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Sign in and begin to beat."""
        self.workers.sign_in(self.worker_id, self.models, self.clock())
        self._thread = threading.Thread(target=self._beat, name="pulse", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Sign out."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self.workers.sign_out(self.worker_id)

    @contextmanager
    def __call__(self, run: Run) -> Iterator[None]:
        """Watch over one run."""
        self._run = run
        faulthandler.dump_traceback_later(
            self.deadline_s + self.grace_s, exit=True, file=sys.__stderr__ or sys.stderr
        )
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            self._run = None

    def _beat(self) -> None:
        while not self._stop.wait(self.interval_s):
            try:
                self.workers.beat(self.worker_id, self.clock())
                if (run := self._run) is not None:
                    self.runs.beat(run, self.clock())
            except Exception as error:
                # One missed beat is no reason to end a run; a database that stays away is seen
                # by everybody else, and by this run when it wants to store its result.
                _LOG.warning("beat_missed", error=type(error).__name__)
