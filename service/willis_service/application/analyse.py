"""Run one job: read, analyse, write, verify, publish; every way out is a stored state."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from willis_models.errors import DeadlineExceeded, InputError, WillisError
from willis_models.findings import Findings, QualityItem, Rejection
from willis_models.pipelines.base import Analysis, analyse
from willis_service.application.ports import (
    Clock,
    InputOpener,
    InstanceArchive,
    JobRuns,
    Model,
    ModelShelf,
    ResultShelf,
    StudyIndex,
    StudyInput,
)
from willis_service.domain.job import INTERNAL_ERROR, Ending, Job, JobState, ResultKind, Run

_LOG = structlog.get_logger(__name__)

Guard = Callable[[Run], AbstractContextManager[None]]
"""Watches over a run from outside: signs of life, and a hard end after the deadline."""


@dataclass(frozen=True)
class RunJob:
    """What a worker does with a job id."""

    runs: JobRuns
    archive: InstanceArchive
    index: StudyIndex
    models: ModelShelf
    open_input: InputOpener
    shelf: ResultShelf
    guard: Guard
    plan_delivery: Callable[[Job], None]
    clock: Clock
    deadline_s: float
    attempts_limit: int

    def __call__(self, job_id: str) -> None:
        """Run the job's next attempt; nothing where it is final or in other hands."""
        run = self.runs.claim(job_id, self.clock())
        if run is None:
            _LOG.info("job_not_claimed", job_id=job_id)
            return
        log = _LOG.bind(job_id=job_id, attempt=run.attempt, pipeline=run.job.pipeline)
        log.info("job_started")
        with self.guard(run):
            ending = self._attempt(run)
        if ending is None:
            self.runs.release(job_id, run.attempt, self.clock())
        elif self.runs.finish(run, ending, self.clock()):
            log.info("job_ended", state=str(ending.state), code=ending.error_code)
            self.plan_delivery(replace(run.job, state=ending.state, results=ending.results))
        else:
            log.warning("job_superseded")

    def _attempt(self, run: Run) -> Ending | None:
        try:
            return self._analyse(run)
        except WillisError as error:
            _log_error(run, error)
            if _is_worth_another_try(error) and run.attempt < self.attempts_limit:
                return None
            return Ending(JobState.FAILED, (), error.code, error.message)
        except Exception as error:
            # The edge of the job: a bug ends this job and is logged in full, the worker goes on.
            _log_error(run, error)
            return Ending(JobState.FAILED, (), INTERNAL_ERROR, f"{type(error).__name__}: see log")

    def _analyse(self, run: Run) -> Ending:
        progress = _Progress(self.runs, run, self.clock, time.monotonic() + self.deadline_s)
        progress("load")
        model = self.models.take(run.job.pipeline, run.bundle)
        source = self.open_input([self.archive.path_of(path) for path in run.inputs])
        analysis = _with_items(analysis_of(model, source, progress), self._conflicts(run))
        progress("write")
        with self.shelf.stage(run) as folder:
            results = self._write(analysis, source, folder)
            self.shelf.publish(run, folder)
        return _ending(analysis, results)

    def _write(
        self, analysis: Analysis, source: StudyInput, folder: Path
    ) -> tuple[ResultKind, ...]:
        objects = source.write(analysis, folder, self.clock())
        text = analysis.findings.model_dump_json(indent=2)
        (folder / ResultKind.FINDINGS).write_text(text + "\n", encoding="utf-8")
        return (ResultKind.FINDINGS, *objects)

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
class _Progress:
    """Stores the step that starts, and ends the run between steps when its time is over."""

    runs: JobRuns
    run: Run
    clock: Clock
    end_s: float

    def __call__(self, step: str) -> None:
        if time.monotonic() > self.end_s:
            raise DeadlineExceeded(f"The analysis took longer than it may, before the step {step}.")
        self.runs.note_step(self.run, step, self.clock())


def analysis_of(model: Model, source: StudyInput, progress: Callable[[str], None]) -> Analysis:
    """Read an input and analyse it; one that can't be read is rejected with its reason."""
    progress("read")
    start = time.perf_counter()
    try:
        case = source.read(model.pipeline.roles)
    except InputError as error:
        return Analysis(_rejected(model, error))
    read_s = round(time.perf_counter() - start, 3)
    analysis = analyse(
        model.pipeline, case, model.manifest, model.assets, model.predictor, progress
    )
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


def _ending(analysis: Analysis, results: tuple[ResultKind, ...]) -> Ending:
    rejection = analysis.findings.rejection
    if rejection is None:
        return Ending(JobState.SUCCEEDED, results)
    return Ending(JobState.REJECTED, results, rejection.code, rejection.message)


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
