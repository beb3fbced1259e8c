"""An archive of sixty series over a head so simple that it is made at once."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from willis_models.imaging.resample import grid_points, lps_grid
from willis_models.volume import Volume
from willis_training.curation.archive.curate import CurationJob
from willis_training.curation.archive.rules import read_rules
from willis_training.simulation.archive.heads import BaseHead, Protocol
from willis_training.simulation.archive.write import ArchivePlan

PLAN = ArchivePlan(protocol=Protocol(slices=14, step_mm=7.5, matrix=48))


@cache
def simple_head() -> BaseHead:
    """An ellipsoid of brain with twenty boxes in it."""
    grid = lps_grid((40, 48, 40), 4.0, (-78.0, -94.0, -78.0))
    points = grid_points(grid)
    inside = ((points / [60.0, 80.0, 60.0]) ** 2).sum(axis=-1) < 1.0
    soft = np.zeros((20, *grid.shape), dtype=np.float32)
    for n in range(20):
        side = 1 if n < 10 else -1
        centre = [side * 25.0, -40.0 + 20.0 * (n % 5), -15.0 if n % 10 < 5 else 15.0]
        soft[n] = (np.abs(points - centre) < [15.0, 8.0, 12.0]).all(axis=-1)
    return BaseHead(Volume(np.where(inside, 33.0, -1000.0), grid.affine_lps), soft)


def job(source: Path, folder: Path) -> CurationJob:
    """Curation in one process, without labels, into ``folder/out``."""
    private = folder / "private"
    key = private / "pseudonym.key"
    return CurationJob(
        source, folder / "out", private, key, read_rules(), with_labels=False, workers=1
    )
