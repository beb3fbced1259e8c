"""Run a candidate on the input of a job that ended, beside the result, and note what differs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from willis_models.errors import WillisError
from willis_models.findings import Findings
from willis_models.imaging.overlap import overlap_by_label
from willis_models.pipelines.base import Analysis, Request
from willis_service.application.analyse import analysis_of
from willis_service.application.ordered import ordered_input, pipeline_options
from willis_service.application.ports import Clock, InputOpener, InstanceArchive, ModelShelf
from willis_service.application.ports.models import ShadowBook
from willis_service.domain.job import INTERNAL_ERROR, BundleId, Run
from willis_service.domain.shadow import ShadowRun

_LOG = structlog.get_logger(__name__)


@dataclass(frozen=True)
class RunShadow:
    """Nothing of it is published, delivered or shown as a result, and no error of it gets out.

    It yields: where other jobs wait, the candidate is not run.
    """

    candidate: Callable[[str], BundleId | None]
    is_busy: Callable[[], bool]
    models: ModelShelf
    archive: InstanceArchive
    open_input: InputOpener
    book: ShadowBook
    clock: Clock

    def __call__(self, run: Run, live: Analysis) -> None:
        """Compare the candidate, if there is one, with what the live model found."""
        log = _LOG.bind(job_id=run.job.id)
        try:
            candidate = self.candidate(run.job.pipeline)
            if candidate is None or candidate == run.bundle:
                return
            if self.is_busy():
                log.info("shadow_skipped", reason="jobs wait")
                return
            found = self._compared(run, live, candidate)
            self.book.record(found)
            log.info("shadow_run", version=candidate.version, code=found.error_code)
        except Exception as error:
            # The job has ended well; what goes wrong here must not become its trouble.
            log.error("shadow_not_recorded", error=type(error).__name__)

    def _compared(self, run: Run, live: Analysis, candidate: BundleId) -> ShadowRun:
        basis = ShadowRun(
            job_id=run.job.id,
            pipeline=run.job.pipeline,
            live=run.bundle,
            candidate=candidate,
            at=self.clock(),
            live_status=live.findings.status,
            live_s=seconds_of(live.findings),
        )
        try:
            found = self._analysed(run, candidate)
        except WillisError as error:
            return replace(basis, error_code=error.code)
        except Exception as error:
            # A bug of the candidate is what a shadow is there to find.
            _LOG.error("shadow_failed", job_id=run.job.id, error=type(error).__name__)
            return replace(basis, error_code=INTERNAL_ERROR)
        return compare(basis, live, found)

    def _analysed(self, run: Run, candidate: BundleId) -> Analysis:
        model = self.models.take(run.job.pipeline, candidate)
        source = self.open_input(ordered_input(run, self.archive.path_of))
        return analysis_of(model, source, Request(pipeline_options(run.job.options)))


def compare(basis: ShadowRun, live: Analysis, candidate: Analysis) -> ShadowRun:
    """The run with what differs between the live model's analysis and the candidate's."""
    old, new = live.findings, candidate.findings
    both_scored = old.status == new.status == "succeeded"
    return replace(
        basis,
        candidate_status=new.status,
        candidate_s=seconds_of(new),
        score_changes=_score_changes(old, new) if both_scored else {},
        changed_states=_changed_states(old, new) if both_scored else None,
        dice=_dice(live, candidate),
    )


def seconds_of(findings: Findings) -> float:
    """How long the analysis took, all its steps together."""
    return round(sum(findings.timings_s.values()), 3)


def _score_changes(old: Findings, new: Findings) -> dict[str, int | None]:
    before = {one.side: one.score for one in old.scores}
    after = {one.side: one.score for one in new.scores}
    return {str(side): _change(before.get(side), after.get(side)) for side in {**before, **after}}


def _change(old: int | None, new: int | None) -> int | None:
    return None if old is None or new is None else new - old


def _changed_states(old: Findings, new: Findings) -> int:
    before = {one.key: one.state for one in old.segments}
    after = {one.key: one.state for one in new.segments}
    return sum(before.get(key) != after.get(key) for key in {**before, **after})


def _dice(live: Analysis, candidate: Analysis) -> dict[str, float]:
    """By segment; nothing where one gave no mask, or they lie on different series."""
    first, second = live.labels, candidate.labels
    if first is None or second is None or live.reference_role != candidate.reference_role:
        return {}
    if first.shape != second.shape:
        return {}
    names = {one.number: one.key for one in (*candidate.findings.segments, *live.findings.segments)}
    layers = zip((first, *live.overlays), (second, *candidate.overlays), strict=False)
    found = {n: one for pair in layers for n, one in overlap_by_label(*pair).items()}
    return {names.get(number, str(number)): one.dice for number, one in found.items()}
