from __future__ import annotations

import numpy as np
import pytest

from willis_training.comparison.cost import in_child, peak_memory_mb


def fill_memory(megabytes: int) -> float:
    np.ones(megabytes * 1_000_000 // 8)
    return peak_memory_mb()


def refuse() -> None:
    raise ValueError("not here")


def test_a_child_sees_its_own_memory_and_not_its_parents() -> None:
    kept = np.ones(300_000_000 // 8)
    small = in_child(fill_memory, 1)
    assert small < 300.0 < peak_memory_mb()
    assert in_child(fill_memory, 200) > small + 150.0
    assert kept.any()


def test_an_error_in_a_child_is_raised_here() -> None:
    with pytest.raises(ValueError, match="not here"):
        in_child(refuse)
