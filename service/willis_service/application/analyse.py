"""Run one job: read, analyse, write, verify, publish; every way out is a stored state."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import pairwise

import structlog

from willis_models.errors import DatabaseUnavailable, DeadlineExceeded, InputError, WillisError
from willis_models.findings import Findings, QualityItem, Rejection
from willis_models.pipelines.base import Analysis, Request, analyse
from willis_service.application.amend import write_results
from willis_service.application.completeness_item import completeness_item
from willis_service.application.ordered import ordered_input, pipeline_options
from willis_service.application.ports import (
    Amended,
    Clock,
    InputOpener,
    InstanceArchive,
    JobRuns,
    Model,
    ModelShelf,
    ResultShelf,
    StudyIndex,
    StudyInput,
    StudyOutcomes,
)
from willis_service.domain.job import INTERNAL_ERROR, Ending, JobState, ResultKind, Run

_LOG = structlog.get_logger(__name__)
_END_TRIES = 4

Guard = Callable[[Run], AbstractContextManager[None]]
"""Watches over a run from outside: signs of life, and a hard end after the deadline."""
Shadow = Callable[[Run, Analysis], None]
"""Looks at the same input with another model once the job has ended; never raises."""


@dataclass(frozen=True)
class RunJob:
    """What a worker does when it hears of work."""

    runs: JobRuns
    archive: InstanceArchive
    index: StudyIndex
    outcomes: StudyOutcomes
    models: ModelShelf
    open_input: InputOpener
    amended: Callable[[str], Amended | None]
    shelf: ResultShelf
    guard: Guard
    clock: Clock
    deadline_s: float
    attempts_limit: int
    retry_pause_s: float
    shadow: Shadow | None = None

    def __call__(self, job_id: str) -> None:
        """Run this job; nothing where it is final or in other hands."""
        self._run(lambda: self.runs.claim(job_id, self.clock()))

    def next(self) -> None:
        """Run the most urgent job that waits; nothing where none does."""
        self._run(lambda: self.runs.claim_next(self.clock()))

    def _run(self, claim: Callable[[], Run | None]) -> None:
        try:
            run = claim()
        except DatabaseUnavailable as error:
            _LOG.error("job_not_claimed", code=error.code)  # the keeper sends another hint
            return
        if run is None:
            _LOG.info("no_job_to_claim")
            return
        log = _LOG.bind(job_id=run.job.id, attempt=run.attempt, pipeline=run.job.pipeline)
        log.info("job_started", priority=str(run.job.priority))
        # Signs of life go on until the database knows the end.
        with self.guard(run):
            try:
                ended = self._attempt(run)
            except _Superseded:
                log.warning("job_superseded")
                return
            counts = self._end_surely(run, ended.ending, log)
        if counts and ended.analysis is not None and self.shadow is not None:
            # The result is out. The same guard ends a candidate that hangs.
            with self.guard(run):
                self.shadow(run, ended.analysis)

    def _attempt(self, run: Run) -> _Ended:
        try:
            return self._analyse(run)
        except _Superseded:
            raise
        except WillisError as error:
            _log_error(run, error)
            if _is_worth_another_try(error) and run.attempt < self.attempts_limit:
                return _Ended(None)
            return _Ended(Ending(JobState.FAILED, (), error.code, error.message))
        except Exception as error:
            # The edge of the job: a bug ends this job and is logged in full, the worker goes on.
            _log_error(run, error)
            message = f"{type(error).__name__}: see log"
            return _Ended(Ending(JobState.FAILED, (), INTERNAL_ERROR, message))

    def _end_surely(self, run: Run, ending: Ending | None, log: structlog.BoundLogger) -> bool:
        """What took minutes to make is not given up because the database is held for one."""
        for _ in range(_END_TRIES):
            try:
                return self._end(run, ending, log)
            except DatabaseUnavailable as error:
                log.error("job_end_not_stored", code=error.code)
        # The lease runs out, and the job is run again.
        return False

    def _end(self, run: Run, ending: Ending | None, log: structlog.BoundLogger) -> bool:
        """Tell the database, and whether it takes the ending: only then anything is kept."""
        now = self.clock()
        if ending is None:
            pause = timedelta(seconds=self.retry_pause_s * run.attempt)
            self.runs.release(run.lease, now, again_at=now + pause)
            log.info("job_put_back", pause_s=pause.total_seconds())
            return False
        if self.runs.finish(run, ending, now):
            log.info("job_ended", state=str(ending.state), code=ending.error_code)
            return True
        log.warning("job_superseded")
        self.shelf.discard(run.edition)
        return False

    def _analyse(self, run: Run) -> _Ended:
        progress = _Progress(self.runs, run, self.clock, time.monotonic() + self.deadline_s)
        progress("load")
        model = self.models.take(run.job.pipeline, run.bundle)
        source = self.open_input(ordered_input(run, self.archive.path_of))
        request = Request(pipeline_options(run.job.options), progress)
        items = (*self._completeness(run), *self._conflicts(run))
        analysis = _with_items(analysis_of(model, source, request), items)
        progress("write")
        # Asked after the step was stored: from then on no notice comes in between.
        amended = self.amended(run.job.id)
        with self.shelf.stage(run.edition) as folder:
            results = write_results(source, analysis, amended, folder, self.clock())
            progress("publish")
            self.shelf.publish(run.edition, folder)
        return _Ended(_ending(analysis, results, progress.timings_s()), analysis)

    def _completeness(self, run: Run) -> tuple[QualityItem, ...]:
        outcome = self.outcomes.study_outcome(run.job.study_instance_uid)
        basis = None if outcome is None else outcome.basis_of(run.job.id)
        return () if basis is None else (completeness_item(basis),)

    def _conflicts(self, run: Run) -> tuple[QualityItem, ...]:
        count = self.index.count_conflicts(run.job.study_instance_uid)
        if not count:
            return ()
        message = (
            f"{count} instance(s) came again with other content under the same SOP Instance UID; "
            "the first version was analysed, the other is kept."
        )
        return (QualityItem(code="SOP_UID_CONFLICT", outcome="warn", message=message),)


@dataclass(frozen=True)
class _Ended:
    """How an attempt ended, None to try again; and what was found, if anything was."""

    ending: Ending | None
    analysis: Analysis | None = None


class _Superseded(Exception):
    """The job is in other hands by now: what this run makes would not count."""


@dataclass
class _Progress:
    """Stores the step that starts, times it, and ends a run whose time or whose lease is over."""

    runs: JobRuns
    run: Run
    clock: Clock
    end_s: float
    _started_s: dict[str, float] = field(default_factory=dict)

    def __call__(self, step: str) -> None:
        self._started_s[step] = now_s = time.monotonic()
        if now_s > self.end_s:
            raise DeadlineExceeded(f"The analysis took longer than it may, before the step {step}.")
        if not self.runs.note_step(self.run, step, self.clock()):
            raise _Superseded

    def timings_s(self) -> dict[str, float]:
        """Seconds of each step, the last one until now."""
        starts = [*self._started_s.values(), time.monotonic()]
        spans = (end - start for start, end in pairwise(starts))
        return {step: round(span, 3) for step, span in zip(self._started_s, spans, strict=True)}


def analysis_of(model: Model, source: StudyInput, request: Request) -> Analysis:
    """Read an input and analyse it; one that can't be read is rejected with its reason.

    Raises BadOption for what the pipeline was not made to be asked.
    """
    request = replace(request, options=model.pipeline.options_of(request.options))
    request.progress("read")
    start = time.perf_counter()
    try:
        case = source.read(model.pipeline.roles, model.pipeline.needs)
    except InputError as error:
        return Analysis(_rejected(model, error))
    read_s = round(time.perf_counter() - start, 3)
    analysis = analyse(model.pipeline, case, model.manifest, model.assets, model.predictor, request)
    timings_s = {"read": read_s, **analysis.findings.timings_s}
    return replace(analysis, findings=analysis.findings.model_copy(update={"timings_s": timings_s}))


def _rejected(model: Model, error: InputError) -> Findings:
    item = QualityItem(code=error.code, outcome="reject", message=error.message)
    return Findings(
        pipeline=model.pipeline.name,
        status="rejected",
        model=model.predictor.identity,
        quality=(item,),
        rejection=Rejection(code=error.code, message=error.message),
        limits=model.manifest.limits,
    )


def _with_items(analysis: Analysis, items: tuple[QualityItem, ...]) -> Analysis:
    quality = analysis.findings.quality + items
    return replace(analysis, findings=analysis.findings.model_copy(update={"quality": quality}))


def _ending(
    analysis: Analysis, results: tuple[ResultKind, ...], timings_s: Mapping[str, float]
) -> Ending:
    rejection = analysis.findings.rejection
    if rejection is None:
        return Ending(JobState.SUCCEEDED, results, timings_s=timings_s)
    return Ending(JobState.REJECTED, results, rejection.code, rejection.message, timings_s)


def _is_worth_another_try(error: WillisError) -> bool:
    # What ran into its deadline once would do so again, and block the queue meanwhile.
    return error.retryable and not isinstance(error, DeadlineExceeded)


def _log_error(run: Run, error: Exception) -> None:
    # The message of a bug may quote a header, so only its type and place go into the log.
    code = error.code if isinstance(error, WillisError) else INTERNAL_ERROR
    _LOG.error(
        "job_error",
        job_id=run.job.id,
        attempt=run.attempt,
        code=code,
        error=type(error).__name__,
        frames="".join(traceback.format_tb(error.__traceback__)),
    )
