"""A table of regions with a known signal, so small that every classifier fits in a blink."""

from __future__ import annotations

import numpy as np

from willis_training.aspects.states_fit import RegionTable
from willis_training.scores.features import ALL_FEATURES
from willis_training.scores.table import NO_LESION, ScoreTable

DROP_HU = 5.0


def toy_table(heads: int = 6, studies: int = 8, seed: int = 0) -> ScoreTable:
    """Three in four studies have a stroke of the left side; affected regions are 5 HU darker.

    ``difference_hu`` carries the signal, everything else is noise.
    """
    rng = np.random.default_rng(seed)
    count = heads * studies
    case = np.repeat(np.arange(count), 20)
    has_stroke = (np.arange(count) % 4 > 0)[case]
    left = np.tile(np.arange(20) < 10, count)
    covered = np.where(has_stroke & left & (rng.random(case.size) < 0.5), 0.8, 0.0)
    features = rng.normal(0.0, 1.0, (case.size, len(ALL_FEATURES)))
    features[:, ALL_FEATURES.index("difference_hu")] += DROP_HU * (covered > 0)
    rows = RegionTable(
        features=features,
        region=np.tile(np.arange(20) % 10, count),
        left=left,
        case=case,
        head=np.array([f"head_{n // studies:02d}" for n in case]),
        covered=covered,
        drop_hu=np.where(has_stroke, DROP_HU, 0.0),
    )
    lesion = np.where(has_stroke, np.array([f"lesion_{n % 43}" for n in case]), NO_LESION)
    rule = features[:, ALL_FEATURES.index("difference_hu")] >= DROP_HU / 2
    return ScoreTable(rows, ALL_FEATURES, lesion, rule)
