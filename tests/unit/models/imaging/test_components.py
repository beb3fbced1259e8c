"""Masks: components, distances and holes."""

from __future__ import annotations

import numpy as np

from willis_models.imaging.components import (
    fill_holes_by_slice,
    grow,
    largest_component,
    shrink_mask,
)


def test_the_largest_of_two_pieces_is_kept() -> None:
    mask = np.zeros((6, 6, 6), dtype=bool)
    mask[0, 0, :2] = mask[3:5, 3:5, 3:5] = True

    assert largest_component(mask).sum() == 8


def test_pieces_that_touch_at_a_corner_only_are_two() -> None:
    mask = np.zeros((4, 4, 4), dtype=bool)
    mask[0, 0, 0] = mask[1, 1, 1] = mask[1, 1, 2] = True

    assert largest_component(mask).sum() == 2


def test_an_empty_mask_has_an_empty_largest_piece() -> None:
    assert not largest_component(np.zeros((3, 3, 3), dtype=bool)).any()


def test_growing_a_point_gives_a_ball_and_shrinking_takes_it_back() -> None:
    mask = np.zeros((11, 11, 11), dtype=bool)
    mask[5, 5, 5] = True

    ball = grow(mask, 3.0)

    distance = np.linalg.norm(np.indices(mask.shape).reshape(3, -1).T - 5.0, axis=1)
    np.testing.assert_array_equal(ball.ravel(), distance <= 3.0)
    np.testing.assert_array_equal(shrink_mask(ball, 3.0), mask)


def test_a_closed_hole_is_filled_and_an_open_bay_is_not() -> None:
    ring = np.zeros((2, 7, 7), dtype=bool)
    ring[:, 1:6, 1:6] = True
    ring[:, 3, 3] = False
    ring[1, 3, 4:] = False

    filled = fill_holes_by_slice(ring)

    assert filled[0, 3, 3]
    assert not filled[1, 3, 3]
