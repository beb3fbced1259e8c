"""The clockwork beside the receiver: route complete studies, put back what the broker lost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import structlog

from willis_models.errors import DeadlineExceeded, WorkerLost
from willis_service.application.ports import Clock, JobCare, StudyIndex, StudyWatch, WorkQueue
from willis_service.application.routing import Dispatch, Routing
from willis_service.domain.job import Ending, JobState, Patience, Sighting
from willis_service.domain.study import OpenStudy, Quietness

_LOG = structlog.get_logger(__name__)
_HINT_AGE = timedelta(seconds=30)


@dataclass(frozen=True)
class RouteCompleteStudies:
    """Every enabled pipeline gets one job for each study that is complete."""

    watch: StudyWatch
    index: StudyIndex
    routing: Routing
    rule: Quietness
    clock: Clock

    def __call__(self) -> int:
        """Route what is complete now; how many studies."""
        now = self.clock()
        complete = [s for s in self.watch.open_studies() if self.rule.is_complete(s, now)]
        for study in complete:
            self._route(study)
        return len(complete)

    def _route(self, study: OpenStudy) -> None:
        instances = self.index.instances(study.study_instance_uid)
        for pipeline in self.routing.pipelines.values():
            self.routing.route(study.study_instance_uid, instances, pipeline)
        # Closed last: after a crash the study is routed again, and the job exists once all the same
        self.watch.close(study, self.clock())
        _LOG.info("study_routed", instances=len(instances))


@dataclass(frozen=True)
class Reconcile:
    """Compares the database, which is the truth, with what the workers and the broker do (R18)."""

    care: JobCare
    queue: WorkQueue
    dispatch: Dispatch
    patience: Patience
    clock: Clock

    def __call__(self) -> None:
        """Take up runs whose worker died; send hints again when the broker holds none."""
        for run in self.care.running():
            if self.patience.is_lost(run, self.clock()):
                self._take_up(run)
        self._send_hints_again()

    def _take_up(self, run: Sighting) -> None:
        now = self.clock()
        if self.patience.is_overdue(run):
            error: DeadlineExceeded | WorkerLost = DeadlineExceeded(
                "The analysis took longer than it may."
            )
        elif self.patience.is_spent(run):
            error = WorkerLost(f"The worker died in each of {run.attempt} attempts.")
        else:
            if self.care.release(run.job_id, run.attempt, now):
                _LOG.warning("job_taken_up", job_id=run.job_id, attempt=run.attempt)
                self.dispatch(run.job_id)
            return
        ending = Ending(JobState.FAILED, error_code=error.code, error_message=error.message)
        if self.care.give_up(run, ending, now):
            _LOG.error("job_given_up", job_id=run.job_id, code=error.code)

    def _send_hints_again(self) -> None:
        waiting = self.care.waiting_since(self.clock() - _HINT_AGE)
        # While messages wait, a queued job is most likely among them; an empty queue proves a loss
        # or a job reserved by a worker, and then a second message does no harm.
        if waiting and self.queue.depth() == 0:
            for job_id in waiting:
                self.dispatch(job_id)
