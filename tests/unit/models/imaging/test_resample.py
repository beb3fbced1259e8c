"""Resampling by true position: tilted, oblique and uneven stacks need no special case."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from tests.unit.models.phantoms import ellipsoid, make_stack, positions, rotation
from willis_models.imaging.resample import (
    AIR_HU,
    bounding_grid,
    grid_points,
    is_covered,
    labels_on_stack,
    lps_grid,
    refine_labels,
    resample_stack,
    sample_labels,
    sample_stack,
    shrink,
)
from willis_models.volume import Grid, SliceStack

SLOPE, OFFSET = np.array([0.7, -0.4, 1.3]), 25.0
UNEVEN = (4.0,) * 6 + (1.1,) + (7.0,) * 6
OBLIQUE = rotation(12.0, -20.0, 31.0)
GEOMETRIES = {
    "plain": {},
    "tilted": {"tilt_deg": 18.5},
    "uneven": {"steps_mm": UNEVEN},
    "oblique": {"axes": OBLIQUE},
    "all at once": {"tilt_deg": -22.0, "steps_mm": UNEVEN, "axes": OBLIQUE},
}


def ramp(points: np.ndarray) -> np.ndarray:
    return (points @ SLOPE + OFFSET).astype(np.float32)


@pytest.fixture(params=GEOMETRIES.values(), ids=GEOMETRIES.keys())
def stack(request: pytest.FixtureRequest) -> SliceStack:
    return make_stack((14, 20, 18), 3.0, **{"steps_mm": 5.0, **request.param}, field=ramp)


def inner_points(stack: SliceStack, count: int = 400) -> np.ndarray:
    """Random world points within the stack."""
    rng = np.random.default_rng(3)
    low = np.array([rng.integers(0, stack.shape[0] - 1, count), *rng.uniform(0, 15, (2, count))]).T
    above = low + np.array([1.0, 0.0, 0.0])
    share = rng.random((count, 1))
    return stack.to_world(low) * (1 - share) + stack.to_world(above) * share


def test_a_linear_field_is_read_exactly_between_the_slices(stack: SliceStack) -> None:
    points = inner_points(stack)

    np.testing.assert_allclose(sample_stack(stack, points), ramp(points), atol=2e-3)


def test_a_single_bright_voxel_is_found_where_it_lies(stack: SliceStack) -> None:
    voxels = np.zeros(stack.shape, dtype=np.float32)
    voxels[5, 7, 11] = 100.0
    marked = stack.with_voxels(voxels)
    everywhere = positions(marked)

    sampled = sample_stack(marked, everywhere)

    assert sampled[5, 7, 11] == pytest.approx(100.0, abs=1e-3)
    assert np.delete(sampled.ravel(), np.ravel_multi_index((5, 7, 11), stack.shape)).max() < 1e-3


def test_what_the_scan_did_not_reach_is_air(stack: SliceStack) -> None:
    outside = stack.to_world(np.array([[0.0, -3.0, 5.0]]))

    assert sample_stack(stack, outside)[0] == AIR_HU


def test_a_regular_grid_around_a_stack_shows_the_same_field(stack: SliceStack) -> None:
    grid = bounding_grid(stack, 4.0)
    volume = resample_stack(stack, grid)
    points = grid_points(grid)
    index = stack.to_index(points)
    inside = ((index > 0.5) & (index < np.array(stack.shape) - 2.5)).all(axis=-1)

    assert inside.sum() > 100
    np.testing.assert_allclose(volume.voxels[inside], ramp(points[inside]), atol=5e-3)


def test_the_bounding_grid_holds_every_voxel(stack: SliceStack) -> None:
    grid = bounding_grid(stack, 2.0)
    index = grid.to_index(positions(stack))

    assert (index > -1e-6).all()
    assert (index < np.array(grid.shape) - 1 + 1e-6).all()


@pytest.mark.parametrize("target_mm", [2.0, 4.0])
def test_shrinking_leaves_every_mean_where_it_was(target_mm: float) -> None:
    fine = make_stack((12, 24, 24), 1.0, 1.0, tilt_deg=15.0, axes=OBLIQUE, field=ramp)

    small = shrink(fine, target_mm)

    factor = int(target_mm)
    assert small.shape == (12 // factor, 24 // factor, 24 // factor)
    np.testing.assert_allclose(small.voxels, ramp(positions(small)), atol=1e-3)
    assert small.voxels.mean() == pytest.approx(float(fine.voxels.mean()), abs=1e-3)


def test_slices_are_not_merged_beyond_their_widest_step() -> None:
    uneven = make_stack((7, 8, 8), 1.0, (1.0, 1.0, 1.0, 3.0, 3.0, 3.0), field=ramp)

    assert shrink(uneven, 2.0).shape == (7, 4, 4)


def test_shrinking_averages_noise_down() -> None:
    noise = np.random.default_rng(0).normal(0.0, 8.0, (8, 32, 32)).astype(np.float32)
    stack = make_stack((8, 32, 32), 1.0, 1.0).with_voxels(noise)

    assert shrink(stack, 2.0).voxels.std() == pytest.approx(8.0 / np.sqrt(8), rel=0.05)


def test_the_edge_voxels_are_covered_to_their_outer_faces(stack: SliceStack) -> None:
    middle = (np.array(stack.shape) - 1) / 2
    last, step_lps = stack.to_world(np.array([stack.shape[0] - 1, *middle[1:]])), stack.normal_lps
    half_step = stack.slice_steps_mm[-1] / 2
    drift = (stack.origins_lps[-1] - stack.origins_lps[-2]) / stack.slice_steps_mm[-1]

    assert is_covered(stack, (last + drift * (half_step - 0.05))[None])[0]
    assert not is_covered(stack, (last + drift * (half_step + 0.05))[None])[0]
    assert not is_covered(stack, (last + 100.0 * step_lps)[None])[0]


def two_balls(points: np.ndarray) -> np.ndarray:
    labels = np.where(ellipsoid(points, (9, 12, 10), (12, -2, 4)), 3, 0)
    return np.where(ellipsoid(points, (8, 9, 8), (-11, 4, -6)), 17, labels).astype(np.uint8)


@pytest.mark.parametrize("name", GEOMETRIES)
def test_labels_come_back_to_native_slices_within_a_voxel(name: str) -> None:
    steps = {"steps_mm": (2.0,) * 8 + (1.0,) + (3.0,) * 10}
    geometry = {"steps_mm": 2.0, **GEOMETRIES[name]}
    geometry |= steps if geometry["steps_mm"] is UNEVEN else {}
    native = make_stack((20, 44, 40), 1.5, **geometry)
    grid = lps_grid((30, 36, 40), 1.5, (-30.0, -27.0, -22.0))
    to_grid = np.eye(4)
    to_grid[:3, :3] = rotation(4.0, -7.0, 9.0) * 1.04
    to_grid[:3, 3] = (1.5, -2.0, 0.7)
    labels = two_balls(grid_points(grid))

    found = labels_on_stack(labels, grid, native, to_grid)

    in_template = positions(native) @ to_grid[:3, :3].T + to_grid[:3, 3]
    true = two_balls(in_template)
    for label in (3, 17):
        mine, wanted = in_template[found == label], in_template[true == label]
        np.testing.assert_allclose(mine.mean(axis=0), wanted.mean(axis=0), atol=0.5)
        assert len(mine) == pytest.approx(len(wanted), rel=0.05)


def test_labels_outside_the_grid_are_background() -> None:
    grid = lps_grid((4, 4, 4), 2.0, (0.0, 0.0, 0.0))
    points = np.array([[2.0, 2.0, 2.0], [-2.1, 0.0, 0.0], [0.0, 8.0, 0.0]])

    found = sample_labels(np.full((4, 4, 4), 9, dtype=np.uint8), grid, points)

    assert found.tolist() == [9, 0, 0]


def test_refined_labels_agree_with_the_argmax_at_the_coarse_voxels() -> None:
    rng = np.random.default_rng(1)
    probabilities = rng.dirichlet(np.ones(5), (6, 7, 8)).transpose(3, 0, 1, 2).astype(np.float32)
    grid = lps_grid((6, 7, 8), 2.0, (-5.0, 3.0, 8.0))

    labels, fine = refine_labels(probabilities, grid)

    np.testing.assert_array_equal(labels[::2, ::2, ::2], probabilities.argmax(axis=0))
    np.testing.assert_allclose(
        fine.to_world(np.array([2.0, 4.0, 6.0])), grid.to_world(np.array([1.0, 2.0, 3.0]))
    )
    assert fine.spacing_mm == pytest.approx((1.0, 1.0, 1.0))


def test_classes_with_a_small_place_win_exactly_where_they_would_on_the_whole_grid() -> None:
    rng = np.random.default_rng(2)
    score = ndimage.gaussian_filter(rng.normal(size=(6, 16, 18, 20)), (0, 2, 2, 2)) * 60
    score[4, 8:] = score[5] = -40.0
    probabilities = np.exp(score - score.max(axis=0))
    probabilities = (probabilities / probabilities.sum(axis=0)).astype(np.float32)

    labels, _ = refine_labels(probabilities, lps_grid((16, 18, 20), 2.0, (0.0, 0.0, 0.0)))

    whole = np.stack([ndimage.zoom(p, (31 / 16, 35 / 18, 39 / 20), order=1) for p in probabilities])
    np.testing.assert_array_equal(labels, whole.argmax(axis=0))
    assert set(np.unique(labels)) == {0, 1, 2, 3, 4}


def test_a_border_between_two_voxels_is_refined_to_where_the_probabilities_cross() -> None:
    foreground = np.zeros((1, 1, 5), dtype=np.float32)
    foreground[0, 0, 2:] = (0.9, 1.0, 1.0)
    grid = Grid(
        (1, 1, 5), np.array([[0, 0, 2.0, 0], [0, 2.0, 0, 0], [2.0, 0, 0, 0], [0, 0, 0, 1.0]])
    )

    labels, _ = refine_labels(np.stack([1 - foreground, foreground]), grid, factor=4)

    # From 0 to 0.9 in four fine steps: one half is crossed after 2.2 of them.
    assert labels[0, 0].tolist() == [0] * 7 + [1] * 10
