"""A worker's signs of life, and the watchdog that ends a run which hangs."""

from __future__ import annotations

import faulthandler
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

from willis_models.errors import DatabaseUnavailable
from willis_service.application.consumption import Consumption
from willis_service.application.ports import Clock, JobRuns, LifeSigns, RunSigns
from willis_service.domain.job import Run

_LOG = structlog.get_logger(__name__)
_LAST_BEAT_S = 5.0


@dataclass
class Pulse:
    """Beats for the worker, and for the run that it is at, from a thread of its own.

    A run gets ``deadline_s``. The runner ends it between steps; one that hangs within a step, even
    inside a library, takes its whole process down shortly after, with the stacks of all threads on
    standard error. The reconciler then finds the job.

    A worker that consumes nothing any more signs out, and ``leave`` ends its process.
    """

    worker_id: str
    models: tuple[str, ...]
    workers: LifeSigns
    runs: RunSigns
    clock: Clock
    interval_s: float
    deadline_s: float
    consumption: Consumption | None = None
    leave: Callable[[], None] = lambda: None
    grace_s: float = 5.0
    _run: tuple[Run, float] | None = None
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Sign in and begin to beat."""
        self.workers.sign_in(self.worker_id, self.models, self.clock())
        # Two threads: a broker that hangs keeps the second one waiting, and no beat may be late.
        for name, task in (("pulse", self._beat), ("canary", self._prove_consumption)):
            self._threads.append(threading.Thread(target=self._repeat, name=name, args=(task,)))
            self._threads[-1].daemon = True
            self._threads[-1].start()

    def stop(self) -> None:
        """Sign out."""
        self._stop.set()
        for thread in self._threads:
            thread.join(_LAST_BEAT_S)
        self._sign_out()

    def let_go(self, runs: JobRuns) -> None:
        """Give the run back, at no cost to its study, and leave."""
        if (current := self._run) is not None:
            self._give_back(runs, current[0])
        self._leave()

    @contextmanager
    def __call__(self, run: Run) -> Iterator[None]:
        """Watch over one run."""
        self._run = (run, time.monotonic())
        faulthandler.dump_traceback_later(
            self.deadline_s + self.grace_s, exit=True, file=sys.__stderr__ or sys.stderr
        )
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            self._run = None

    def _repeat(self, task: Callable[[], None]) -> None:
        while not self._stop.wait(self.interval_s):
            task()

    def _beat(self) -> None:
        try:
            self.workers.beat(self.worker_id, self.models, self.clock())
            if (current := self._run) is not None:
                run, started_s = current
                self.runs.beat(run, self.clock(), time.monotonic() - started_s)
        except Exception as error:
            # One missed beat is no reason to end a run; a database that stays away is seen by
            # everybody else, and by this run when it wants to store its result.
            _LOG.warning("beat_missed", error=type(error).__name__)

    def _prove_consumption(self) -> None:
        if self.consumption is None or not self.consumption.has_stopped(self._run is not None):
            return
        _LOG.error("worker_consumes_nothing", worker_id=self.worker_id)
        self._leave()

    def _give_back(self, runs: JobRuns, run: Run) -> None:
        try:
            is_given_back = runs.release(run.lease, self.clock(), is_spent=False)
        except DatabaseUnavailable as error:
            # The lease runs out, and the job is taken up then.
            _LOG.error("job_not_given_back", job_id=run.job.id, code=error.code)
        else:
            if is_given_back:  # it had not ended
                _LOG.warning("job_given_back", job_id=run.job.id, attempt=run.attempt)

    def _leave(self) -> None:
        self._stop.set()  # a beat would sign in again
        self._sign_out()
        self.leave()

    def _sign_out(self) -> None:
        try:
            self.workers.sign_out(self.worker_id)
        except Exception as error:
            # The worker ends all the same, and its beats with it.
            _LOG.warning("sign_out_missed", error=type(error).__name__)
