"""Labels recovered from a simulated archive of sixty series: ``python -m benchmarks.curation``.

Twelve heads are the demo study's, deformed by known maps; readers' outlines have gaps, specks and
shaky lines. Takes some minutes; resumes where it stopped.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.machine import describe
from benchmarks.page import Table
from benchmarks.places import REPOSITORY
from willis_models.codes import ASPECTS_REGIONS
from willis_training.curation.archive.bids import Layout
from willis_training.curation.archive.curate import CurationJob, curate
from willis_training.curation.archive.pseudonyms import read_or_make_key
from willis_training.curation.archive.report import CurationReport
from willis_training.curation.archive.rules import read_rules
from willis_training.simulation.archive.heads import Protocol, head_of_study
from willis_training.simulation.archive.recovery import recovered_dice
from willis_training.simulation.archive.truth import WrittenArchive, load_truth, save_truth
from willis_training.simulation.archive.write import ArchivePlan, write_archive

PLAN = ArchivePlan(protocol=Protocol(slices=34, matrix=256))


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curation", description=__doc__)
    parser.add_argument("--work", type=Path, default=REPOSITORY / ".cache" / "bench" / "curation")
    parser.add_argument("--study", type=Path, default=REPOSITORY / "demo" / "ncct_right_mca")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    chosen = parser.parse_args(arguments)
    console, load = Console(), os.getloadavg()[0]
    written = archive(chosen.work, chosen.study)
    fused, report, seconds = measure(written, chosen.work, chosen.workers, True, console)
    atlas, *_ = measure(written, chosen.work, chosen.workers, False, console)
    print(table(fused, atlas).markdown())
    print(f"\nCuration: {seconds:.0f} s with {chosen.workers} processes; {describe(load)}\n")
    print((chosen.work / "out" / "derivatives" / "curation" / "report.md").read_text())
    print(
        f"atlas against mean overlay: {np.mean(report.atlas_dice_before):.3f} before, "
        f"{np.mean(report.atlas_dice_after):.3f} after"
    )


def archive(work: Path, study: Path) -> WrittenArchive:
    """The archive and its truth, written once."""
    if not (work / "truth").is_dir():
        save_truth(write_archive(head_of_study(study), PLAN, work / "archive"), work / "truth")
    return load_truth(work / "archive", work / "truth")


def measure(
    written: WrittenArchive, work: Path, workers: int, own_outlines_win: bool, console: Console
) -> tuple[NDArray[np.float64], CurationReport, float]:
    """Dice (cases, 20), the report, and how long curation took."""
    rules = read_rules()
    labels = rules.labels.model_copy(update={"own_outlines_win": own_outlines_win})
    private = work / "private"
    job = CurationJob(
        written.folder,
        work / "out",
        private,
        private / "pseudonym.key",
        rules.model_copy(update={"labels": labels}),
        workers=workers,
    )
    start = time.perf_counter()
    report = curate(job, lambda stage, done, total: console.print(f"{stage} {done}/{total}"))
    seconds = time.perf_counter() - start
    found = recovered_dice(written, Layout(job.out), read_or_make_key(job.key))
    return np.array(list(found.values())), report, seconds


def table(fused: NDArray[np.float64], atlas: NDArray[np.float64]) -> Table:
    """Dice by region, left and right together: the labels as written, and the atlas alone."""
    rows = [
        _row(region, fused[:, n::10], atlas[:, n::10]) for n, region in enumerate(ASPECTS_REGIONS)
    ]
    means = [_row("**mean**", fused, atlas)]
    lowest = ["lowest case", *(f"{np.nanmean(d, axis=1).min():.3f}" for d in (fused, atlas))]
    return Table(["region", "with own outlines", "atlas alone"], [*rows, *means, lowest])


def _row(name: str, *columns: NDArray[np.float64]) -> list[str]:
    return [name, *(f"{np.nanmean(column):.3f}" for column in columns)]


if __name__ == "__main__":
    main()
