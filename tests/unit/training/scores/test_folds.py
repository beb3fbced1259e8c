from __future__ import annotations

import numpy as np

from tests.unit.training.scores.toy_table import toy_table
from willis_training.scores.folds import folds_apart
from willis_training.scores.table import NO_LESION


def test_no_head_and_no_lesion_is_on_both_sides_of_a_fold() -> None:
    table = toy_table()
    for training, test in folds_apart(table, 3):
        assert not set(table.rows.head[training]) & set(table.rows.head[test])
        shared = set(table.lesion[training]) & set(table.lesion[test])
        assert shared <= {NO_LESION}
        assert training.any()


def test_every_row_is_tested_once() -> None:
    table = toy_table()
    tested = sum(test.astype(int) for _, test in folds_apart(table, 3))
    assert (np.asarray(tested) == 1).all()


def test_there_are_never_more_folds_than_heads() -> None:
    assert len(list(folds_apart(toy_table(heads=3), 10))) == 3
