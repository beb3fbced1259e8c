from __future__ import annotations

import numpy as np
import pytest

from willis_training.metrics import dice, dice_by_class, generalised_dice, volume_ml
from willis_training.metrics.overlap import precision_recall_area


def test_dice_is_twice_the_common_over_the_sum() -> None:
    found, truth = np.array([1, 1, 1, 0]), np.array([0, 1, 1, 1])
    assert dice(found, truth) == pytest.approx(4 / 6)


def test_two_empty_masks_agree_unless_the_caller_says_otherwise() -> None:
    nothing = np.zeros(4)
    assert dice(nothing, nothing) == 1.0
    assert np.isnan(dice(nothing, nothing, empty=float("nan")))


def test_dice_by_class_gives_each_label_its_own_and_nan_where_neither_holds_it() -> None:
    found, truth = np.array([1, 1, 2, 2, 0]), np.array([1, 2, 2, 2, 0])
    by_class = dice_by_class(found, truth, (1, 2, 3))
    assert by_class[:2] == pytest.approx([2 / 3, 4 / 5])
    assert np.isnan(by_class[2])


def test_generalised_dice_weighs_small_labels_up() -> None:
    truth = np.array([1] * 90 + [2] * 10)
    found = truth.copy()
    found[90:] = 1  # the small label is missed altogether
    overall = dice(found == 1, truth == 1)
    assert generalised_dice(found, truth, (1, 2)) < overall / 4


def test_generalised_dice_of_a_perfect_and_of_an_empty_map() -> None:
    truth, nothing = np.array([1, 2, 2, 0]), np.zeros(4, dtype=int)
    assert generalised_dice(truth, truth, (1, 2)) == pytest.approx(1.0)
    assert generalised_dice(nothing, truth, (1, 2)) == 0.0
    assert generalised_dice(nothing, nothing, (1, 2)) == 1.0
    assert generalised_dice(truth, nothing, (1, 2)) == 0.0


def test_volume_is_voxels_times_their_size() -> None:
    assert volume_ml(np.ones((2, 5, 10)), (5.0, 1.0, 0.5)) == pytest.approx(0.25)


def test_the_area_uses_trapezoids_not_steps() -> None:
    soft, truth = np.array([0.9, 0.8, 0.7, 0.1]), np.array([1, 0, 1, 0])
    # Points (recall, precision): (0, 1), (.5, 1), (.5, .5), (1, 2/3), (1, .5)
    assert precision_recall_area(soft, truth) == pytest.approx(0.5 + 0.5 * (0.5 + 2 / 3) / 2)
