"""Voxels with geometry: index to world and back, on tilted and oblique lattices alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.unit.models.phantoms import make_stack
from willis_models.errors import GeometryError
from willis_models.volume import DynamicStack, Grid, SliceStack, Volume

SHAPE = (6, 5, 4)
angles_deg = st.floats(-60, 60)
spacings_mm = st.floats(0.3, 8.0)
steps_mm = arrays(float, SHAPE[0] - 1, elements=st.floats(0.5, 10.0))


def rotation(x_deg: float, y_deg: float, z_deg: float) -> np.ndarray:
    """Rotation about the three axes in turn."""
    matrix = np.eye(3)
    for axis, angle in enumerate(np.radians([x_deg, y_deg, z_deg])):
        a, b = [n for n in range(3) if n != axis]
        turn = np.eye(3)
        turn[[a, b], [a, b]] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return matrix


@st.composite
def stacks(draw: st.DrawFn) -> SliceStack:
    """Any orientation, spacing, gantry tilt and slice steps."""
    axes = rotation(draw(angles_deg), draw(angles_deg), draw(angles_deg))
    along = np.concatenate([[0.0], np.cumsum(draw(steps_mm))])
    tilt = np.tan(np.radians(draw(st.floats(-30, 30))))
    slant = axes[:, 2] + tilt * axes[:, 1]
    start = draw(arrays(float, 3, elements=st.floats(-300, 300)))
    return SliceStack(
        np.zeros(SHAPE, np.int16),
        start + along[:, None] * slant,
        draw(spacings_mm) * axes[:, 0],
        draw(spacings_mm) * axes[:, 1],
    )


voxel_indices = st.tuples(*(st.integers(0, size - 1) for size in SHAPE))


@given(stacks(), voxel_indices)
def test_a_stack_takes_every_voxel_to_the_world_and_back(
    stack: SliceStack, index: tuple[int, int, int]
) -> None:
    voxel = np.array(index, float)

    np.testing.assert_allclose(stack.to_index(stack.to_world(voxel)), voxel, atol=1e-6)


@given(stacks(), voxel_indices, st.floats(0, 1))
def test_a_point_between_two_slices_of_a_tilted_stack_gets_their_mean_index(
    stack: SliceStack, index: tuple[int, int, int], weight: float
) -> None:
    low = np.array([min(index[0], SHAPE[0] - 2), *index[1:]], float)
    high = low + np.array([1.0, 0, 0])
    point = (1 - weight) * stack.to_world(low) + weight * stack.to_world(high)

    np.testing.assert_allclose(stack.to_index(point), low + np.array([weight, 0, 0]), atol=1e-6)


@given(stacks())
def test_voxel_volumes_add_up_to_the_prism_between_the_outermost_slice_faces(
    stack: SliceStack,
) -> None:
    rows_mm, columns_mm = stack.pixel_spacing_mm
    steps = stack.slice_steps_mm
    length_mm = steps.sum() + (steps[0] + steps[-1]) / 2

    assert stack.voxel_ml.sum() * 1000 == pytest.approx(rows_mm * columns_mm * length_mm)


@given(st.floats(-30, 30))
def test_the_tilt_is_the_angle_between_normal_and_table(tilt_deg: float) -> None:
    slant = np.array([0, np.tan(np.radians(tilt_deg)), 1])
    origins = np.arange(5)[:, None] * 4.0 * slant
    stack = SliceStack(np.zeros((5, 2, 2)), origins, np.array([1.0, 0, 0]), np.array([0, 1.0, 0]))

    assert stack.tilt_deg == pytest.approx(abs(tilt_deg), abs=1e-6)


def test_indices_run_on_beyond_the_outermost_slices_with_their_own_steps() -> None:
    origins = np.array([[0, 0, 0], [0, 0, 2], [0, 0, 6.0]])
    stack = SliceStack(np.zeros((3, 2, 2)), origins, np.array([1.0, 0, 0]), np.array([0, 1.0, 0]))

    outside = stack.to_index(np.array([[0, 0, -2.0], [0, 0, 10.0]]))

    np.testing.assert_allclose(outside[:, 0], [-1, 3])


def test_a_whole_field_of_points_is_indexed_at_once() -> None:
    stack = SliceStack.from_volume(Volume(np.zeros(SHAPE), np.eye(4)[:, [2, 1, 0, 3]]))

    assert stack.to_index(np.zeros((3, 2, 4, 3))).shape == (3, 2, 4, 3)


@given(arrays(float, 3, elements=st.sampled_from([-1.0, 1.0])))
def test_a_volume_of_any_handedness_becomes_a_stack_with_every_voxel_in_place(
    signs: np.ndarray,
) -> None:
    affine = np.eye(4)
    affine[:3, :3] = rotation(10, 20, 30) * signs * (5.0, 2.0, 1.0)
    affine[:3, 3] = (7, -8, 9)
    voxels = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    volume = Volume(voxels, affine)

    stack = SliceStack.from_volume(volume)

    index = np.argwhere(np.ones(SHAPE, bool))
    back = np.round(stack.to_index(volume.grid.to_world(index))).astype(int)
    assert np.array_equal(stack.voxels[tuple(back.T)], voxels.ravel())


@given(voxel_indices)
def test_a_grid_takes_every_index_to_the_world_and_back(index: tuple[int, int, int]) -> None:
    affine = np.eye(4)
    affine[:3, :3] = rotation(10, -20, 30) @ np.diag([5.0, 0.5, 0.5])
    grid = Grid(SHAPE, affine)

    np.testing.assert_allclose(grid.to_index(grid.to_world(np.array(index))), index, atol=1e-9)
    assert grid.spacing_mm == pytest.approx((5.0, 0.5, 0.5))
    assert grid.voxel_ml == pytest.approx(0.00125)


@pytest.mark.parametrize(
    "affine", [np.zeros((4, 4)), np.full((4, 4), np.nan), np.eye(3), np.diag([1, 1, 0, 1.0])]
)
def test_an_affine_that_can_not_be_inverted_is_refused(affine: np.ndarray) -> None:
    with pytest.raises(GeometryError):
        Volume(np.zeros(SHAPE), affine)


def test_voxels_can_not_be_changed_once_they_have_geometry() -> None:
    volume = Volume(np.zeros(SHAPE), np.eye(4))

    with pytest.raises(ValueError, match="read-only"):
        volume.voxels[0, 0, 0] = 1


def test_slices_out_of_order_or_at_one_place_are_refused() -> None:
    x, y = np.array([1.0, 0, 0]), np.array([0, 1.0, 0])
    for heights in ([0, 2, 1], [0, 1, 1]):
        origins = np.array([[0, 0, height] for height in heights], float)
        with pytest.raises(GeometryError, match="ordered"):
            SliceStack(np.zeros((3, 2, 2)), origins, x, y)


def test_a_stack_needs_an_origin_for_each_slice() -> None:
    with pytest.raises(GeometryError, match="origin"):
        SliceStack(np.zeros((3, 2, 2)), np.zeros((2, 3)), np.eye(3)[0], np.eye(3)[1])


def test_parallel_rows_and_columns_are_refused() -> None:
    with pytest.raises(GeometryError, match="parallel"):
        SliceStack(np.zeros((2, 2, 2)), np.zeros((2, 3)), np.eye(3)[0], np.eye(3)[0])


def test_other_voxels_take_over_the_geometry_only_if_they_fit() -> None:
    volume = Volume(np.zeros(SHAPE), np.eye(4)[:, [2, 1, 0, 3]])
    stack = SliceStack.from_volume(volume)

    assert stack.with_voxels(np.ones(SHAPE)).origins_lps is stack.origins_lps
    for image in (volume, stack):
        with pytest.raises(GeometryError, match="does not fit"):
            image.with_voxels(np.zeros((1, 1, 1)))


def test_a_single_slice_says_that_it_has_no_extent_of_its_own() -> None:
    stack = SliceStack(np.zeros((1, 2, 2)), np.zeros((1, 3)), np.eye(3)[0], np.eye(3)[1])

    with pytest.raises(GeometryError, match="single slice"):
        _ = stack.voxel_ml


def dynamic(times_s: np.ndarray) -> DynamicStack:
    still = make_stack((2, 3, 4), 1.0, 5.0, field=lambda points: points[..., 2])
    frames = still.voxels + np.arange(len(times_s), dtype=np.float32)[:, None, None, None]
    return DynamicStack.like(still, frames, times_s)


def test_the_mean_of_a_dynamic_stack_is_a_still_image_on_its_geometry() -> None:
    series = dynamic(np.array([[0.0, 0.5], [1.0, 1.5], [2.0, 2.5]]))

    assert series.mean.voxels == pytest.approx(series.frames[1])
    assert series.mean.voxels.dtype == np.float32
    np.testing.assert_array_equal(series.mean.origins_lps, series.origins_lps)


@pytest.mark.parametrize(
    "times_s",
    [np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[0.0, 0.0], [np.nan, 1.0]]), np.zeros((2, 1))],
    ids=["a slice stands still", "a time is missing", "too few times"],
)
def test_frames_out_of_time_are_refused(times_s: np.ndarray) -> None:
    with pytest.raises(GeometryError):
        dynamic(times_s)
