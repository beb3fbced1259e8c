"""A result that takes the place of an earlier one says so, and names it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from willis_models.findings import Amendment, Findings
from willis_models.pipelines.base import Analysis
from willis_service.application.ports import Amended, JobBook, ResultShelf, StudyInput
from willis_service.domain.job import Job, ResultKind


@dataclass(frozen=True)
class FindAmended:
    """The result that the next one of a job amends: its own notice, else its predecessor's."""

    book: JobBook
    shelf: ResultShelf

    def __call__(self, job_id: str) -> Amended | None:
        """What was published last for the study; None where nothing was."""
        asked: set[str] = set()
        following: str | None = job_id
        while following is not None and following not in asked:
            asked.add(following)
            job = self.book.get(following)
            if ResultKind.FINDINGS in job.results:
                return self._of(job)
            following = job.predecessor_id
        return None

    def _of(self, job: Job) -> Amended:
        text = self.shelf.path(job.id, ResultKind.FINDINGS).read_bytes()
        has_sr = ResultKind.SR in job.results
        sr = self.shelf.path(job.id, ResultKind.SR) if has_sr else None
        return Amended(job.id, Findings.model_validate_json(text), sr)


def write_results(
    source: StudyInput,
    analysis: Analysis,
    amended: Amended | None,
    folder: Path,
    created_at: datetime,
) -> tuple[ResultKind, ...]:
    """Write all results of an analysis into a folder, checked; which ones. Raises ResultError."""
    if amended is not None:
        amendment = _amendment(amended)
        findings = analysis.findings.model_copy(update={"amends": amendment})
        analysis = replace(analysis, findings=findings)
    objects = source.write(analysis, folder, created_at, amended.sr if amended else None)
    write_findings(analysis.findings, folder)
    return (ResultKind.FINDINGS, *objects)


def _amendment(amended: Amended) -> Amendment:
    earlier = amended.findings
    volumes_ml = {
        segment.key: volume_ml
        for segment in earlier.segments
        if segment.kind == "lesion" and (volume_ml := segment.value("volume_ml")) is not None
    }
    return Amendment(
        job_id=amended.job_id,
        status=earlier.status,
        scores=earlier.scores,
        volumes_ml=volumes_ml,
    )


def write_findings(findings: Findings, folder: Path) -> None:
    """Write the findings alone."""
    text = findings.model_dump_json(indent=2)
    (folder / ResultKind.FINDINGS).write_text(text + "\n", encoding="utf-8")
