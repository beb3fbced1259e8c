from __future__ import annotations

import numpy as np
import pytest

from willis_training.infarct.challenge import CEILING_DICE, SIZE_BINS, score, size_bin
from willis_training.metrics import ISLES24

SPACING_MM = (5.0, 1.0, 2.0)


def cube(side: int, corner: int = 5) -> np.ndarray:  # type: ignore[type-arg]
    mask = np.zeros((40, 40, 40), dtype=np.uint8)
    mask[corner : corner + side, corner : corner + side, corner : corner + side] = 1
    return mask


def test_the_rules_are_those_of_the_challenge() -> None:
    assert (ISLES24.neighbours, ISLES24.min_iou, ISLES24.volume_unit) == (26, 0.20, "mL")
    assert CEILING_DICE == 0.285


def test_volumes_are_millilitres_of_anisotropic_voxels() -> None:
    found = score(cube(5), cube(10), SPACING_MM)
    assert found.truth_ml == pytest.approx(10.0)
    assert found.found_ml == pytest.approx(1.25)
    assert found.volume_difference_ml == pytest.approx(8.75)


def test_both_empty_is_perfect_and_a_miss_is_not() -> None:
    nothing = cube(0)
    perfect, missed = score(nothing, nothing, SPACING_MM), score(nothing, cube(10), SPACING_MM)
    assert (perfect.dice, perfect.f1, perfect.count_difference) == (1.0, 1.0, 0)
    assert (missed.dice, missed.f1, missed.count_difference) == (0.0, 0.0, 1)


def test_an_overlap_of_a_fifth_finds_a_lesion() -> None:
    shifted = np.roll(cube(10), 5, axis=2)
    assert score(shifted, cube(10), SPACING_MM).f1 == 1.0
    assert score(np.roll(cube(10), 8, axis=2), cube(10), SPACING_MM).f1 == 0.0


@pytest.mark.parametrize(
    ("truth_ml", "name"),
    [
        (0.0, "none"),
        (0.1, "under 5 mL"),
        (5.0, "under 5 mL"),
        (5.1, "5 to 20 mL"),
        (70.0, "20 to 70 mL"),
        (400.0, "over 70 mL"),
    ],
)
def test_every_volume_has_one_bin(truth_ml: float, name: str) -> None:
    assert size_bin(truth_ml) == name
    assert name in [bin_name for bin_name, _, _ in SIZE_BINS]
