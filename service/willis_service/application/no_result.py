"""The no-result alarm: a study that was accepted never ends in silence.

A job that failed, and one that has no result in time, gets a notice: a report and findings that
say that the study could not be analysed, and why. A result that comes later amends the notice.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import structlog

from willis_models.errors import (
    DatabaseUnavailable,
    NoResultInTime,
    StorageFull,
    StudyNotRouted,
    WillisError,
)
from willis_models.findings import Findings, Rejection
from willis_models.pipelines.base import Analysis
from willis_service.application.amend import write_findings, write_results
from willis_service.application.ports import (
    Amended,
    Clock,
    InputOpener,
    InstanceArchive,
    NoticeBook,
    OrderedInput,
    ResultShelf,
    StudyIndex,
    StudyOutcomes,
    StudyWatch,
)
from willis_service.application.watch import Watch
from willis_service.domain.job import (
    INTERNAL_ERROR,
    ROUTING,
    BundleId,
    Edition,
    Ending,
    Job,
    JobOrder,
    JobState,
    ResultKind,
)
from willis_service.domain.study import OpenStudy, fingerprint

_LOG = structlog.get_logger(__name__)
_REPORT_TRIES = 2
_NO_BUNDLE = BundleId("0", "0" * 64)


@dataclass(frozen=True)
class WriteNotice:
    """Writes the results of a job that has none, and lets them stand for it."""

    notices: NoticeBook
    archive: InstanceArchive
    open_input: InputOpener
    amended: Callable[[str], Amended | None]
    shelf: ResultShelf
    clock: Clock

    def __call__(self, job: Job, reason: Rejection) -> bool:
        """False where the job moved on meanwhile. Raises StorageFull or DatabaseUnavailable."""
        findings = Findings(pipeline=job.pipeline, status="failed", rejection=reason)
        edition = Edition(job.id, f"notice-{uuid.uuid4().hex[:12]}")
        # Counted first: files that end the process that reads them must not do so for ever.
        tries = self.notices.note_try(job.id)
        try:
            with self.shelf.stage(edition) as folder:
                results = self._write(job, findings, folder, tries <= _REPORT_TRIES)
                self.shelf.publish(edition, folder)
        except (StorageFull, DatabaseUnavailable):
            self.notices.take_back_try(job.id)
            raise
        if self.notices.publish_notice(job, edition, results, reason.code, self.clock()):
            return True
        self.shelf.discard(edition)
        return False

    def _write(
        self, job: Job, findings: Findings, folder: Path, with_report: bool
    ) -> Sequence[ResultKind]:
        try:
            if with_report:
                return self._write_all(job, findings, folder)
        except (StorageFull, DatabaseUnavailable):
            raise
        except Exception as error:
            # Files that nothing can be read of get no report; the findings say it all the same.
            _LOG.warning("notice_without_report", job_id=job.id, error=type(error).__name__)
            for half_done in folder.iterdir():
                half_done.unlink()
        write_findings(findings, folder)
        return (ResultKind.FINDINGS,)

    def _write_all(self, job: Job, findings: Findings, folder: Path) -> Sequence[ResultKind]:
        files = [self.archive.path_of(path) for path in self.notices.inputs(job.id)]
        source, amended = self.open_input(OrderedInput(files)), self.amended(job.id)
        return write_results(source, Analysis(findings), amended, folder, self.clock())


@dataclass(frozen=True)
class RaiseAlarms:
    """Gives a notice to every job and study that has had no result for too long, or failed."""

    notices: NoticeBook
    write: WriteNotice
    studies: StudyWatch
    outcomes: StudyOutcomes
    index: StudyIndex
    job_limit: timedelta
    study_limit: timedelta
    clock: Clock
    watch: Watch = field(default_factory=Watch)

    def __call__(self) -> None:
        """One round."""
        studies, jobs = self.studies.open_studies(), self.notices.without_result()
        self.watch.keep({s.study_instance_uid for s in studies} | {job.id for job in jobs})
        for study in studies:
            self._look_at_study(study)
        for job in self.notices.without_result():
            self._look_at_job(job)

    def _look_at_study(self, study: OpenStudy) -> None:
        age_s = (self.clock() - study.open_since).total_seconds()
        waited_s = self.watch.unchanged_s(study.study_instance_uid, study.open_since, age_s)
        if waited_s < self.study_limit.total_seconds():
            return
        instances = self.index.instances(study.study_instance_uid)
        if not any(instance.may_hold_an_image for instance in instances):
            return
        order = JobOrder(
            study_instance_uid=study.study_instance_uid,
            pipeline=ROUTING,
            bundle=_NO_BUNDLE,
            input_fingerprint=fingerprint(study.study_instance_uid, instances),
            inputs=tuple(instance.path for instance in instances),
        )
        message = f"No analysis could be ordered for the study. {self._why(study)}".strip()
        ending = Ending(JobState.FAILED, (), StudyNotRouted.code, message)
        self.notices.record_failure(order, ending, self.clock())

    def _why(self, study: OpenStudy) -> str:
        outcome = self.outcomes.study_outcome(study.study_instance_uid)
        return outcome.reason if outcome is not None else ""

    def _look_at_job(self, job: Job) -> None:
        reason = self._reason(job)
        if reason is None or reason.code == job.notice_code:
            return
        try:
            if self.write(job, reason):
                _LOG.error("no_result", job_id=job.id, code=reason.code, state=str(job.state))
        except WillisError as error:
            _LOG.error("notice_not_written", job_id=job.id, code=error.code)

    def _reason(self, job: Job) -> Rejection | None:
        if job.state is JobState.FAILED:
            code = job.error_code or INTERNAL_ERROR
            return Rejection(code=code, message=job.error_message or "The analysis failed.")
        asked_at = job.asked_at or job.created_at
        age_s = (self.clock() - asked_at).total_seconds()
        if self.watch.unchanged_s(job.id, asked_at, age_s) < self.job_limit.total_seconds():
            return None
        minutes = self.job_limit.total_seconds() / 60
        message = (
            f"No result within {minutes:g} minutes: the study was not analysed so far. "
            "A result that comes later amends this notice."
        )
        return Rejection(code=NoResultInTime.code, message=message)
