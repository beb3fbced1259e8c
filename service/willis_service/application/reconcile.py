"""Compare the database, which is the truth, with what the workers and the broker do (R18)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from willis_models.errors import DeadlineExceeded, WorkerLost
from willis_service.application.ports import Clock, JobCare, WorkQueue
from willis_service.application.routing import Dispatch
from willis_service.application.watch import Watch
from willis_service.domain.job import Ending, JobState, Patience, Sighting

_LOG = structlog.get_logger(__name__)
HINT_AGE = timedelta(seconds=10)
"""A job that waits this long and is not claimed may have lost its hint."""


@dataclass(frozen=True)
class Reconcile:
    """Takes up runs whose worker died, and sends hints that the broker lost.

    A worker is dead when its signs of life stop to change while this process watches; what time
    they name does not matter.
    """

    care: JobCare
    queue: WorkQueue
    dispatch: Dispatch
    patience: Patience
    clock: Clock
    hint_age: timedelta = HINT_AGE
    watch: Watch = field(default_factory=Watch)

    def __call__(self) -> None:
        """One round."""
        runs = self.care.running()
        self.watch.keep({run.lease for run in runs})
        for run in runs:
            if self.patience.is_lost(self._silent_s(run)):
                self._take_up(run)
        self._send_hints_again()

    def _silent_s(self, run: Sighting) -> float:
        # A run met for the first time may have died long ago. Its age by the time of day is taken
        # for half the patience at most: whoever lives gives another sign within the other half.
        age_s = (self.clock() - run.heartbeat_at).total_seconds()
        half_s = self.patience.lost_after.total_seconds() / 2
        return self.watch.unchanged_s(run.lease, run.heartbeat_at, min(age_s, half_s))

    def _take_up(self, run: Sighting) -> None:
        now = self.clock()
        if self.patience.is_overdue(run):
            error: DeadlineExceeded | WorkerLost = DeadlineExceeded(
                "The analysis took longer than it may, and hung."
            )
        elif self.patience.is_spent(run):
            error = WorkerLost(
                f"Each of {run.attempt} attempts ended its worker. The study is parked: have it "
                "looked at, then retry the job."
            )
        else:
            if self.care.release(run.lease, now):
                _LOG.warning("job_taken_up", job_id=run.job_id, attempt=run.attempt)
                self.dispatch(run.job_id)
            return
        ending = Ending(JobState.FAILED, error_code=error.code, error_message=error.message)
        if self.care.give_up(run, ending, now):
            _LOG.error("job_given_up", job_id=run.job_id, code=error.code)

    def _send_hints_again(self) -> None:
        """As many hints as jobs wait: any hint lets a worker take the most urgent one."""
        waiting = self.care.waiting_since(self.hint_age, self.clock())
        if not waiting:
            return
        missing = len(waiting) - self.queue.depth()
        for job_id in waiting[: max(0, missing)]:
            self.dispatch(job_id)
