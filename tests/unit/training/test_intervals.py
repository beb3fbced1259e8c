from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from willis_training.intervals import bootstrap_by_group

Rows = NDArray[np.int64]


def test_alike_rows_of_one_group_do_not_narrow_the_interval() -> None:
    """Ten copies of each of eight values say no more than the eight."""
    values = np.repeat(np.arange(8.0), 10)
    groups = np.repeat([f"head_{n}" for n in range(8)], 10)
    each_alone = np.array([f"row_{n}" for n in range(80)])

    def mean(rows: Rows) -> NDArray[np.float64]:
        return np.array(values[rows].mean())

    wide, narrow = bootstrap_by_group(groups, mean), bootstrap_by_group(each_alone, mean)
    assert wide[0] < 3.5 < wide[1]
    assert wide[1] - wide[0] > 2.0 * (narrow[1] - narrow[0])


def test_the_same_seed_gives_the_same_interval() -> None:
    groups, values = np.array(list("aabbcc")), np.arange(6.0)

    def mean(rows: Rows) -> NDArray[np.float64]:
        return np.array(values[rows].mean())

    first, second = (bootstrap_by_group(groups, mean, seed=3) for _ in range(2))
    assert (first == second).all()


def test_a_figure_that_some_draws_lack_is_bounded_by_the_others() -> None:
    groups, values = np.array(list("abc")), np.array([np.nan, 1.0, 2.0])

    def sometimes(rows: Rows) -> NDArray[np.float64]:
        return np.array([values[rows].max(), np.nan])

    interval = bootstrap_by_group(groups, sometimes)
    assert 1.0 <= interval[0, 0] <= interval[1, 0] <= 2.0
    assert np.isnan(interval[:, 1]).all()
