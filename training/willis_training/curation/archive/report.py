"""What curation did, in numbers: JSON to compute with, a page to read, a page to look at.

Nothing here names a patient: series are counted, cases go by their pseudonyms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

import numpy as np

from willis_models.findings import INTENDED_USE_STATEMENT
from willis_training.curation.archive.bids import LABEL_NAMES, Layout, write_json, write_whole

NOT_MEASURED = "Performance on patients: not measured."


@dataclass(frozen=True)
class CurationReport:
    """Counts by reason, and each labelled case's figures by its stem."""

    rules: str
    rules_digest: str
    template_digest: str | None
    files: int
    file_problems: Mapping[str, int]
    copies: int
    series: int
    set_aside: Mapping[str, int]
    converted: int
    conversion_failures: Mapping[str, int]
    overlays: int
    outlines: int
    unknown_overlays: int
    outlines_left_open: int
    cases: Mapping[str, Mapping[str, Any]]
    mean_overlay_cases: int
    atlas_dice_before: tuple[float, ...]
    atlas_dice_after: tuple[float, ...]

    @property
    def kept(self) -> int:
        """Series that the rules kept."""
        return self.series - sum(self.set_aside.values())

    @property
    def labelled(self) -> int:
        """Cases with labels that passed every limit."""
        return sum(not case["reasons"] for case in self.cases.values())

    @property
    def cases_set_aside(self) -> Counter[str]:
        """Cases without labels, by the first reason."""
        return Counter(case["reasons"][0] for case in self.cases.values() if case["reasons"])


def write_report(layout: Layout, report: CurationReport) -> None:
    """``report.json``, ``report.md`` and ``cases.html``."""
    document = asdict(report) | {
        "kept": report.kept,
        "labelled": report.labelled,
        "intended_use": INTENDED_USE_STATEMENT,
    }
    write_json(layout.reports / "report.json", document)
    write_whole(layout.reports / "report.md", "\n".join(_page(report)).encode())
    write_whole(layout.reports / "cases.html", "\n".join(_html(report)).encode())


def _page(report: CurationReport) -> Iterator[str]:
    yield from ("# Curation report", "", INTENDED_USE_STATEMENT, NOT_MEASURED, "")
    template = f"; template `{report.template_digest[:12]}`" if report.template_digest else ""
    yield f"Rules {report.rules} (`{report.rules_digest[:12]}`){template}."
    yield from ("", "| step | count |", "|---|---|")
    yield f"| files | {report.files} |"
    yield from (f"| - {name} | {n} |" for name, n in sorted(report.file_problems.items()))
    yield f"| - copies of an instance | {report.copies} |"
    yield f"| series | {report.series} |"
    ranked = sorted(report.set_aside.items(), key=lambda item: (-item[1], item[0]))
    yield from (f"| - set aside: {reason} | {n} |" for reason, n in ranked)
    yield f"| kept | {report.kept} |"
    failures = sorted(report.conversion_failures.items())
    yield from (f"| - not converted: {reason} | {n} |" for reason, n in failures)
    yield f"| converted | {report.converted} |"
    yield f"| overlay planes | {report.overlays} |"
    yield f"| - that stand for no region | {report.unknown_overlays} |"
    yield f"| - outlines too open to fill | {report.outlines_left_open} |"
    yield f"| cases for label transfer | {len(report.cases)} |"
    aside = sorted(report.cases_set_aside.items())
    yield from (f"| - set aside: {reason} | {n} |" for reason, n in aside)
    yield from (f"| labelled | {report.labelled} |", "")
    yield from _atlas_table(report)
    yield from _case_table(report)


def _atlas_table(report: CurationReport) -> Iterator[str]:
    if not report.mean_overlay_cases:
        return
    yield f"## The atlas against the mean overlay of {report.mean_overlay_cases} cases"
    yield from ("", "| region | Dice before | after the second registration |", "|---|---|---|")
    pairs = zip(report.atlas_dice_before, report.atlas_dice_after, strict=True)
    for label, (before, after) in enumerate(pairs, start=1):
        yield f"| {LABEL_NAMES[label]} | {before:.3f} | {after:.3f} |"
    before, after = (float(np.mean(d)) for d in (report.atlas_dice_before, report.atlas_dice_after))
    yield from (f"| **mean** | **{before:.3f}** | **{after:.3f}** |", "")


COLUMNS = {
    "jacobian_min": "Jacobian min",
    "jacobian_p01": "1%",
    "jacobian_p99": "99%",
    "inverse_error_p95_mm": "inverse error 95%, mm",
    "similarity": "similarity",
    "overlap": "overlap with outlines",
}


def _cells(case: Mapping[str, Any]) -> Iterator[str]:
    for key in COLUMNS:
        value = case.get(key)
        yield "-" if value is None else f"{value:.3f}"
    yield ", ".join(case["reasons"]) or "labelled"


def _case_table(report: CurationReport) -> Iterator[str]:
    if not report.cases:
        return
    yield from ("## Cases", "", f"| case | {' | '.join(COLUMNS.values())} | outcome |")
    yield "|" + "---|" * (len(COLUMNS) + 2)
    for stem, case in sorted(report.cases.items()):
        yield f"| {stem} | {' | '.join(_cells(case))} |"
    yield ""


def _html(report: CurationReport) -> Iterator[str]:
    yield "<!doctype html><meta charset='utf-8'><title>Curated cases</title>"
    yield "<style>body{font:14px sans-serif;margin:2em}td,th{padding:2px 8px;text-align:left}"
    yield "img{max-width:900px;display:block;margin:4px 0 24px}.aside{color:#a00}</style>"
    yield f"<h1>Curated cases</h1><p>{escape(INTENDED_USE_STATEMENT)} {NOT_MEASURED}</p>"
    yield f"<p>{report.labelled} labelled, {len(report.cases) - report.labelled} set aside.</p>"
    for stem, case in sorted(report.cases.items()):
        *figures, outcome = _cells(case)
        shown = "".join(
            f"<th>{escape(name)}</th><td>{escape(value)}</td>"
            for name, value in zip(COLUMNS.values(), figures, strict=True)
        )
        mark = " class='aside'" if case["reasons"] else ""
        yield f"<h2>{escape(stem)}</h2><p{mark}>{escape(outcome)}</p>"
        yield f"<table><tr>{shown}</tr></table>"
        if "overlap" in case:
            yield f"<img src='pictures/{escape(stem)}.png' alt='slices of {escape(stem)}'>"
