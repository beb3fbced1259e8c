"""The whole of curation, stage after stage; each goes on where an earlier run stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from willis_training.curation.archive.bids import VARIANTS, Layout, write_root
from willis_training.curation.archive.convert import (
    VERSION,
    ConversionTask,
    convert,
    outcome_of,
)
from willis_training.curation.archive.index import ArchiveIndex, open_index
from willis_training.curation.archive.labelling import (
    CaseToLabel,
    LabelResult,
    Workplace,
    label_cases,
)
from willis_training.curation.archive.participants import write_tables
from willis_training.curation.archive.pseudonyms import CaseName, Pseudonyms, read_or_make_key
from willis_training.curation.archive.report import CurationReport, write_report
from willis_training.curation.archive.rules import CurationRules
from willis_training.curation.archive.scan import scan
from willis_training.curation.archive.selection import KeptSeries, Selected, select
from willis_training.curation.archive.template_head import load_template
from willis_training.curation.archive.workers import in_parallel

Progress = Callable[[str, int, int | None], None]
"""Hears of a stage, what is done of it and how much there is (None: not known yet)."""


class PlacesClash(ValueError):
    """The private folder lies where it would be given away; the message says where it may lie."""


@dataclass(frozen=True)
class CurationJob:
    """One archive, one data set, and the private folder that belongs to both.

    ``key`` holds the pseudonyms' key; ``template`` is a bundle's folder (None: the shipped one).
    """

    source: Path
    out: Path
    private: Path
    key: Path
    rules: CurationRules
    template: Path | None = None
    with_labels: bool = True
    workers: int = 1


def curate(job: CurationJob, progress: Progress) -> CurationReport:
    """Read, select, convert, label, report. Raises SourceUnusable, PlacesClash or KeyUnusable."""
    _check_places(job)
    job.out.mkdir(parents=True, exist_ok=True)
    job.private.mkdir(mode=0o700, parents=True, exist_ok=True)
    names = read_or_make_key(job.key)
    with open_index(job.private / "index.sqlite") as index:
        return _curate(job, names, index, progress)


def _check_places(job: CurationJob) -> None:
    out = job.out.resolve()
    for secret in (job.private.resolve(), job.key.resolve()):
        if secret.is_relative_to(out):
            raise PlacesClash(
                f"{secret} lies inside the data set {out} and would be given away with it: choose "
                "a place outside (--private, --key)."
            )
    if out.is_relative_to(job.source.resolve()) or job.private.resolve().is_relative_to(
        job.source.resolve()
    ):
        raise PlacesClash(f"{out} and the private folder must lie outside the source.")


def _curate(
    job: CurationJob, names: Pseudonyms, index: ArchiveIndex, progress: Progress
) -> CurationReport:
    files = _scan(job, index, progress)
    progress("select", 0, None)
    selected = select(index.series(), job.rules)
    progress("select", selected.total, selected.total)
    layout = Layout(job.out)
    outcomes = _convert_all(job, names, selected.kept, index, progress)
    converted = [(n, s) for n, s, outcome in outcomes if outcome["reason"] is None]
    _remove_stale(layout, {name.stem for name, _ in converted})
    write_root(layout, job.rules.name)
    write_tables(layout, converted)
    labels = _label(job, outcomes, index, progress)
    report = _report(job, files, index, selected, [o for *_, o in outcomes], labels)
    write_report(layout, report)
    return report


def _scan(job: CurationJob, index: ArchiveIndex, progress: Progress) -> int:
    seen = 0

    def advance(more: int) -> None:
        nonlocal seen
        seen += more
        progress("read headers", seen, None)

    files = scan(job.source, index, job.workers, advance)
    progress("read headers", files, files)
    return files


Outcome = tuple[CaseName, KeptSeries, dict[str, Any]]


def _convert_all(
    job: CurationJob,
    names: Pseudonyms,
    kept: Sequence[KeptSeries],
    index: ArchiveIndex,
    progress: Progress,
) -> list[Outcome]:
    """Each kept series under its name, and how its conversion went."""
    named = {names.case(s.patient_id, s.study_uid, s.uid): s for s in kept}
    recipe = f"{VERSION} {job.rules.labels.model_dump_json(include={'overlays', 'outlines'})}"
    digests = {
        name: sha256(f"{recipe} {series.digest}".encode()).hexdigest()
        for name, series in named.items()
    }
    layout = Layout(job.out)
    outcomes: dict[CaseName, dict[str, Any]] = {}
    for name, digest in digests.items():
        stored = index.outcome("convert", name.stem, digest)
        if stored and (stored["reason"] or layout.sidecar(name).exists()):
            outcomes[name] = stored
    progress("convert", len(outcomes), len(named))
    tasks = [_task(job, name, named[name]) for name in named if name not in outcomes]
    for conversion in in_parallel(convert, tasks, job.workers):
        outcome = outcome_of(conversion)
        index.finish("convert", conversion.name.stem, digests[conversion.name], outcome)
        outcomes[conversion.name] = outcome
        progress("convert", len(outcomes), len(named))
    return [(name, series, outcomes[name]) for name, series in named.items()]


def _task(job: CurationJob, name: CaseName, series: KeptSeries) -> ConversionTask:
    place = Workplace(job.out, job.private, job.template, job.rules.labels)
    return ConversionTask(
        series.paths, series.header, name, job.out, place.areas(name), job.rules.labels
    )


def _remove_stale(layout: Layout, wanted: set[str]) -> None:
    """Files of series that are no longer in the archive, or that the rules no longer keep."""
    roots = [layout.root, *(layout.derivative(name) for name in (*VARIANTS, "outlines"))]
    for root in roots:
        for path in root.glob("sub-*/ses-*/ct/sub-*"):
            if path.name.rsplit("_", 1)[0] not in wanted:
                path.unlink()
    for path in (layout.reports / "pictures").glob("sub-*.png"):
        if path.stem not in wanted:
            path.unlink()


def _label(
    job: CurationJob, outcomes: Sequence[Outcome], index: ArchiveIndex, progress: Progress
) -> LabelResult:
    if not job.with_labels:
        return LabelResult({}, None)
    cases = [
        CaseToLabel(name, series.digest, outcome["outlines"] > 0)
        for name, series, outcome in outcomes
        if outcome["reason"] is None
        and (outcome["outlines"] > 0 or job.rules.labels.without_overlays)
    ]
    place = Workplace(job.out, job.private, job.template, job.rules.labels)
    return label_cases(place, cases, index, job.workers, progress)


def _report(
    job: CurationJob,
    files: int,
    index: ArchiveIndex,
    selected: Selected,
    outcomes: Sequence[dict[str, Any]],
    labels: LabelResult,
) -> CurationReport:
    fitted = labels.fitted
    return CurationReport(
        rules=job.rules.name,
        rules_digest=job.rules.digest,
        template_digest=load_template(job.template).digest if labels.cases else None,
        files=files,
        file_problems=index.problems(),
        copies=selected.copies,
        series=selected.total,
        set_aside=dict(selected.reasons),
        converted=sum(outcome["reason"] is None for outcome in outcomes),
        conversion_failures=Counter(o["reason"] for o in outcomes if o["reason"] is not None),
        overlays=sum(outcome["overlays"] for outcome in outcomes),
        outlines=sum(outcome["outlines"] for outcome in outcomes),
        unknown_overlays=sum(outcome["unknown_overlays"] for outcome in outcomes),
        outlines_left_open=sum(outcome["unfilled"] for outcome in outcomes),
        cases=labels.cases,
        mean_overlay_cases=fitted.cases if fitted else 0,
        atlas_dice_before=fitted.dice_before if fitted else (),
        atlas_dice_after=fitted.dice_after if fitted else (),
    )
