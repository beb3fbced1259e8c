"""Which way up a slice is shown, whatever the stored orientation."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from willis_models.volume import SliceStack, Volume
from willis_service.adapters.web.display import axial_view

SIZE = (9, 11, 13)
CENTRE = np.array([0.0, 0.0, 0.0])
MARK_LPS = np.array([4.0, -3.0, 2.0])  # patient left, anterior, superior


def _stack(axes: tuple[int, ...], signs: tuple[int, ...]) -> SliceStack:
    """A cube of 1-mm voxels whose array axes run along the given world axes; one voxel is 60."""
    shape = tuple(SIZE[2 - axis] for axis in axes)
    affine = np.eye(4)
    affine[:3, :3] = 0
    for column, (axis, sign) in enumerate(zip(axes, signs, strict=True)):
        affine[axis, column] = sign
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    voxels = np.zeros(shape, np.float32)
    index = np.rint(np.linalg.inv(affine) @ [*MARK_LPS, 1])[:3].astype(int)
    voxels[tuple(index)] = 60
    return SliceStack.from_volume(Volume(voxels, affine))


@pytest.mark.parametrize("axes", list(permutations((0, 1, 2))))
@pytest.mark.parametrize("signs", list(product((-1, 1), repeat=3)))
def test_left_is_on_the_images_right_front_is_up_in_every_stored_orientation(
    axes: tuple[int, ...], signs: tuple[int, ...]
) -> None:
    stack = _stack(axes, signs)
    view = axial_view(stack, (stack.voxels > 0).astype(np.uint8) * 5)
    (place,) = np.argwhere(view.hu == 60)

    assert view.hu.shape == SIZE
    assert place.tolist() == [4 + 2, 5 - 3, 6 + 4]  # feet to head, front to back, right to left
    assert np.argwhere(view.labels == 5).tolist() == [place.tolist()]


def test_a_tilted_stack_is_shown_as_acquired() -> None:
    column = np.array([0, np.cos(0.4), -np.sin(0.4)])
    origins = np.arange(6)[:, None] * np.array([0, 0, 5.0])
    voxels = np.arange(6 * 8 * 8, dtype=np.float32).reshape(6, 8, 8)
    view = axial_view(SliceStack(voxels, origins, np.array([1.0, 0, 0]), column))

    assert np.array_equal(view.hu, voxels)


def test_thin_slices_are_averaged_over_five_millimetres_and_thick_ones_are_not() -> None:
    voxels = np.repeat(np.arange(20, dtype=np.float32) ** 2, 4).reshape(20, 2, 2)
    axes = np.array([0.5, 0, 0]), np.array([0, 0.5, 0])
    along = np.arange(20)[:, None] * np.array([0, 0, 1.0])
    thin, thick = SliceStack(voxels, along, *axes), SliceStack(voxels, along * 5, *axes)

    assert axial_view(thin).slab_hu(10)[0, 0] == np.mean([64, 81, 100, 121, 144])
    assert axial_view(thick).slab_hu(10)[0, 0] == 100


def test_the_level_is_the_slice_where_the_regions_are_largest() -> None:
    stack = _stack((2, 1, 0), (1, 1, 1))
    labels = np.zeros(SIZE, np.uint8)
    labels[2, :3, :3], labels[3, :5, :5], labels[7] = 1, 2, 9
    view = axial_view(stack, labels)

    assert view.largest_slice({1, 2}) == 3
    assert view.largest_slice({4}) is None


def test_the_head_is_framed_without_its_holder() -> None:
    voxels = np.full((3, 100, 100), -1000, np.float32)
    voxels[:, 20:60, 30:70] = 30
    voxels[:, 90:94, 10:90] = 100
    axes = np.array([1.0, 0, 0]), np.array([0, 1.0, 0])
    stack = SliceStack(voxels, np.arange(3)[:, None] * np.array([0, 0, 5.0]), *axes)
    rows, columns = axial_view(stack).head_box([1])

    assert rows.start < 20 and 60 < rows.stop < 80
    assert columns.start < 30 and 70 < columns.stop < 90
