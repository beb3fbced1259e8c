"""The registration report of a whole data set, and copies on the NCCT's grid beside the source."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, fields
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from willis_models.findings import INTENDED_USE_STATEMENT
from willis_models.volume import Grid
from willis_training.datasets.base import Subject
from willis_training.datasets.isles24.images import (
    lesion_on,
    load_still,
    onto,
    reference_grid,
)
from willis_training.datasets.isles24.registration import (
    MAX_GAIN,
    MIN_INSIDE,
    FileReport,
    registration_of,
)

TABLE, PAGE = "registration.csv", "registration.md"
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def registration_report(
    subjects: Sequence[Subject],
    folder: Path,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> tuple[FileReport, ...]:
    """Compare every file with its NCCT; write ``registration.csv`` and ``registration.md``."""
    pool = ProcessPoolExecutor(workers, get_context("spawn")) if workers > 1 else None
    found: list[FileReport] = []
    try:
        each = pool.map(registration_of, subjects) if pool else map(registration_of, subjects)
        for done, reports in enumerate(each, start=1):
            found += reports
            progress(done, len(subjects))
    finally:
        if pool is not None:
            pool.shutdown()
    folder.mkdir(parents=True, exist_ok=True)
    _write_table(found, folder / TABLE)
    (folder / PAGE).write_text(report_page(found), encoding="utf-8")
    return tuple(found)


def _write_table(reports: Iterable[FileReport], path: Path) -> None:
    names = [field.name for field in fields(FileReport)]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*names, "suspect"])
        for report in reports:
            row = asdict(report)
            writer.writerow([*(_cell(row[name]) for name in names), report.is_suspect])


def _cell(value: Any) -> object:
    if isinstance(value, tuple):
        return " ".join(f"{entry:.6g}" for entry in value)
    return "" if value is None else value


def report_page(reports: Sequence[FileReport]) -> str:
    """The report as a page: counts by role, then every file that somebody should look at."""
    suspects = [report for report in reports if report.is_suspect]
    cases = len({report.subject_id for report in reports})
    parts = [
        "# Registration against the NCCT",
        INTENDED_USE_STATEMENT,
        f"{cases} cases, {len(reports)} files, {len(suspects)} to look at. Every file is in "
        f"`{TABLE}`. The source was only read: what lies on another grid is resampled when a case "
        "is loaded.",
        _by_role(reports),
        "## To look at",
        _suspects(suspects) if suspects else "None.",
        "## Columns",
        "Sizes and spacings are (z, y, x) after turning the axes along superior, posterior, left. "
        "**apart**: how far the corners of the grid lie from the NCCT's, mm. **inside**: share of "
        f"the content in the NCCT's head, under {MIN_INSIDE:g} is suspect. **information**: "
        "normalised mutual information with the NCCT on a 4-mm grid, 2 I / (H + H). **gain**: how "
        f"much it rises when the file is moved by 8 mm; above {MAX_GAIN:g} the file lies wrong.",
    ]
    return "\n\n".join(parts) + "\n"


def _by_role(reports: Sequence[FileReport]) -> str:
    lines = [
        "| role | files | same grid | resampled | faulty | missing | inside, lowest | information, "
        "median | voxels not finite |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for role in dict.fromkeys(report.role for report in reports):
        mine = [report for report in reports if report.role == role]
        counts = Counter(report.outcome for report in mine)
        inside = [r.inside for r in mine if r.inside is not None]
        information = [r.information for r in mine if r.information is not None]
        cells = (
            role,
            len(mine) - counts["missing"],
            counts["same grid"] + counts["reference"],
            counts["resampled"],
            counts["faulty"],
            counts["missing"],
            f"{min(inside):.3f}" if inside else "-",
            f"{np.median(information):.3f}" if information else "-",
            sum(report.not_finite for report in mine),
        )
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def _suspects(suspects: Sequence[FileReport]) -> str:
    lines = [
        "| case | role | outcome | apart mm | inside | information | gain | note |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for report in suspects:
        gain = "-" if report.gain is None else f"{report.gain:+.3f} towards {report.towards}"
        cells = (
            report.subject_id,
            report.role,
            report.outcome,
            *(_shown(v) for v in (report.apart_mm, report.inside, report.information)),
            gain,
            report.note,
        )
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def write_on_reference(subject: Subject, source: Path, folder: Path) -> list[Path]:
    """Copies of a case's still images and lesion mask on the NCCT's grid, in the same layout.

    ``source`` is the data set's root. Raises ValueError where ``folder`` lies in it: nothing of the
    source is ever overwritten. Raises InputError where a file can't be read.
    """
    if folder.resolve().is_relative_to(source.resolve()):
        raise ValueError(f"{folder} lies in the data set: give a folder outside {source}.")
    grid = reference_grid(subject)
    still = {r: p for r, p in subject.images.items() if r not in subject.dynamic}
    written = [
        _write(_image_on(grid, path, role), grid, folder / path.relative_to(source))
        for role, path in still.items()
    ]
    if subject.label is not None:
        labels = lesion_on(grid, subject.label)
        written.append(_write(labels, grid, folder / subject.label.relative_to(source)))
    return written


def _image_on(grid: Grid, path: Path, role: str) -> NDArray[Any]:
    return onto(grid, load_still(path, role).volume, role).voxels


def _write(voxels: NDArray[Any], grid: Grid, path: Path) -> Path:
    if path.exists():
        raise ValueError(f"{path} is there already: give an empty folder.")
    affine_ras = _LPS_TO_RAS @ grid.affine_lps[:, [2, 1, 0, 3]]
    path.parent.mkdir(parents=True, exist_ok=True)
    # Only the sform is written: a tilted gantry's sheared axes do not fit into a qform.
    nib.save(nib.Nifti1Image(voxels.transpose(2, 1, 0), affine_ras), path)
    return path
