"""Separate parts of a mask, and patient left and right, on native slices."""

from __future__ import annotations

import numpy as np
import pytest

from willis_models.imaging.parts import part_volumes_ml, without_small_parts
from willis_models.imaging.sides import left_of_middle
from willis_models.volume import SliceStack


def test_parts_that_touch_at_a_corner_are_one_and_small_ones_go() -> None:
    mask = np.zeros((3, 6, 6), bool)
    mask[0, :2, :2] = mask[1, 2, 2] = True
    mask[2, 5, 5] = True
    origins = np.arange(3)[:, None] * np.array([0.0, 0.0, 10.0])
    stack = SliceStack(
        np.zeros(mask.shape), origins, np.array([10.0, 0.0, 0.0]), np.array([0.0, 10.0, 0.0])
    )

    assert sorted(part_volumes_ml(mask, stack)) == pytest.approx([1.0, 5.0])
    assert sorted(part_volumes_ml(mask, stack, corners=False)) == pytest.approx([1.0, 1.0, 4.0])
    assert without_small_parts(mask, stack, 2.0).sum() == 5
    assert without_small_parts(mask, stack, 2.0, corners=False).sum() == 4
    assert not without_small_parts(np.zeros_like(mask), stack, 2.0).any()
    assert len(part_volumes_ml(np.zeros_like(mask), stack)) == 0


@pytest.mark.parametrize("row_step_mm", [2.0, -2.0], ids=["to the left", "to the right"])
def test_left_is_where_x_rises_however_the_columns_run(row_step_mm: float) -> None:
    origins = np.array([[-9.0 if row_step_mm > 0 else 9.0, 0.0, 0.0]])
    stack = SliceStack(
        np.zeros((1, 3, 10)), origins, np.array([row_step_mm, 0, 0]), np.array([0, 2.0, 0])
    )
    body = np.ones(stack.shape, bool)
    left = left_of_middle(stack, body)
    x = origins[0, 0] + np.arange(10) * row_step_mm

    np.testing.assert_array_equal(left[0, 0], x > 0)


def test_the_middle_is_that_of_the_body_and_not_of_the_image() -> None:
    stack = SliceStack(
        np.zeros((1, 3, 10)), np.zeros((1, 3)), np.array([2.0, 0, 0]), np.array([0, 2.0, 0])
    )
    body = np.zeros(stack.shape, bool)
    body[..., :4] = True

    assert left_of_middle(stack, body)[0, 0].sum() == 8
