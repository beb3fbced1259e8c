"""What is true about a simulated archive: kept beside it, never in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from willis_models.volume import SliceStack
from willis_training.simulation.archive.heads import LabelledScan


@dataclass(frozen=True)
class WrittenArchive:
    """Where the archive lies, and the truth of each outlined series by its UID."""

    folder: Path
    truth: Mapping[str, LabelledScan]


def save_truth(written: WrittenArchive, folder: Path) -> None:
    """The true regions of each outlined series on its slices, with their geometry."""
    folder.mkdir(parents=True, exist_ok=True)
    for uid, scan in written.truth.items():
        np.savez_compressed(
            folder / f"{uid}.npz",
            regions=scan.regions,
            origins_lps=scan.stack.origins_lps,
            row_step_lps=scan.stack.row_step_lps,
            column_step_lps=scan.stack.column_step_lps,
        )


def load_truth(archive: Path, folder: Path) -> WrittenArchive:
    """Read what ``save_truth`` wrote; the scans come without their voxels."""
    return WrittenArchive(archive, {p.stem: _load(p) for p in sorted(folder.glob("*.npz"))})


def _load(path: Path) -> LabelledScan:
    with np.load(path, allow_pickle=False) as stored:
        regions = stored["regions"]
        empty = np.zeros(regions.shape, dtype=np.int16)
        geometry = (stored[n] for n in ("origins_lps", "row_step_lps", "column_step_lps"))
        return LabelledScan(SliceStack(empty, *geometry), regions)
