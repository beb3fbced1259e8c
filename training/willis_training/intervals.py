"""Bootstrap intervals that respect what belongs together."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def bootstrap_by_group(
    groups: NDArray[np.str_],
    figure: Callable[[NDArray[np.int64]], Floats],
    draws: int = 500,
    seed: int = 7,
) -> Floats:
    """95% percentile intervals (2, ...) of ``figure(rows)``, drawing whole groups with replacement.

    Rows of one group (regions of a head, scans of a person) are alike: intervals that drew rows
    would be too narrow. A draw in which a figure is NaN takes no part in its interval.
    """
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(groups == name) for name in np.unique(groups)]
    found = []
    for _ in range(draws):
        drawn = rng.integers(len(members), size=len(members))
        found.append(figure(np.concatenate([members[n] for n in drawn])))
    with warnings.catch_warnings():
        # A figure that no draw has stays NaN.
        warnings.filterwarnings("ignore", "All-NaN", RuntimeWarning)
        return np.asarray(np.nanpercentile(np.array(found), [2.5, 97.5], axis=0))
