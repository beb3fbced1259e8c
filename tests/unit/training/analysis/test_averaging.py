from __future__ import annotations

import numpy as np
import pytest

from willis_training.analysis.averaging import SHIFTS, averaged_over_shifts

IMAGE = np.random.default_rng(2).random((6, 7, 8)).astype(np.float32)


def test_a_model_that_moves_with_its_input_gives_what_it_gives_without_copies() -> None:
    averaged = averaged_over_shifts(lambda copy: np.stack([copy, 1 - copy]), IMAGE)
    np.testing.assert_allclose(averaged, np.stack([IMAGE, 1 - IMAGE]), atol=1e-6)


def test_a_fault_at_a_fixed_place_is_spread_over_its_neighbours() -> None:
    def faulty(copy: np.ndarray) -> np.ndarray:
        found = np.zeros((1, *copy.shape), dtype=np.float32)
        found[0, 3, 3, 3] = 1.0
        return found

    averaged = averaged_over_shifts(faulty, IMAGE)[0]
    assert len(SHIFTS) == 7
    assert averaged.max() == pytest.approx(1 / 7) and averaged.sum() == pytest.approx(1.0)


def test_without_shifts_there_is_nothing_to_average() -> None:
    with pytest.raises(ValueError, match="No shift"):
        averaged_over_shifts(lambda copy: copy[None], IMAGE, ())
