"""Agreement of label maps, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from willis_models.imaging.overlap import Overlap, overlap_by_label


def test_dice_and_change_of_volume_are_those_of_the_definition() -> None:
    first = np.array([[[1, 1, 1, 2]]], np.uint8)
    second = np.array([[[1, 1, 0, 2]]], np.uint8)

    found = overlap_by_label(first, second)

    assert found == {1: Overlap(0.8, pytest.approx(1 / 3)), 2: Overlap(1.0, 0.0)}


def test_a_label_of_only_one_map_does_not_agree_at_all() -> None:
    found = overlap_by_label(np.array([[[0, 3]]]), np.array([[[0, 0]]]))

    assert found == {3: Overlap(0.0, 1.0)}


def test_two_empty_maps_have_no_labels() -> None:
    assert overlap_by_label(np.zeros((2, 2, 2), np.uint8), np.zeros((2, 2, 2), np.uint8)) == {}


def test_maps_of_different_shapes_can_not_be_compared() -> None:
    with pytest.raises(ValueError, match="shapes"):
        overlap_by_label(np.zeros((2, 2, 2), np.uint8), np.zeros((2, 2, 3), np.uint8))
