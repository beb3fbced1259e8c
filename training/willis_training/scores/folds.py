"""Folds that keep heads and lesions apart: a rendered image is never the unit of a split."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sklearn.model_selection import GroupKFold

from willis_training.scores.table import NO_LESION, Rows, ScoreTable


def folds_apart(table: ScoreTable, folds: int) -> Iterator[tuple[Rows, Rows]]:
    """(training rows, test rows) of each fold.

    Heads are divided among the folds. A training study whose lesion also lies in a test head is
    left out of that fold's training: the same infarct in another head is not new.
    """
    heads = table.rows.head
    count = min(folds, len(np.unique(heads)))
    for _, test in GroupKFold(count).split(heads, groups=heads):
        is_test = np.zeros(len(table), dtype=bool)
        is_test[test] = True
        shared = np.isin(table.lesion, table.lesion[is_test]) & (table.lesion != NO_LESION)
        yield ~is_test & ~shared, is_test
