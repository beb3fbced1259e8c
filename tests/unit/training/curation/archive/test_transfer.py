"""The steps of label transfer where the answer is known without a registration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from willis_models.imaging.resample import grid_points, lps_grid
from willis_models.volume import SliceStack, Volume
from willis_training.curation.archive.alignment import (
    Alignment,
    WarpQuality,
    load_alignment,
    save_alignment,
)
from willis_training.curation.archive.convert import Areas, load_areas, save_areas
from willis_training.curation.archive.mean_overlay import (
    average,
    carry,
    load_carried,
    load_fitted,
    outline_images,
    save_carried,
    save_fitted,
    unfitted,
)
from willis_training.curation.archive.native_labels import (
    native_labels,
    overlap,
    registered,
    stripped,
    with_own_outlines,
)
from willis_training.curation.archive.rules import read_rules
from willis_training.curation.archive.template_head import TemplateHead, load_template
from willis_training.curation.label_transfer import dice

QUALITY = WarpQuality(0.5, 0.7, 1.4, 0.0, 0.02, 0.05, 0.9)
SHIFT_MM = np.array([6.0, -4.0, 8.0])
"""The head of these tests is the template, moved by so much."""


@pytest.fixture(scope="module")
def template() -> TemplateHead:
    return load_template()


@pytest.fixture(scope="module")
def alignment(template: TemplateHead) -> Alignment:
    """From the moved head: half of the way by the affine part, half by the displacement."""
    grid = template.grid(4.0)
    to_template = np.eye(4)
    to_template[:3, 3] = -SHIFT_MM / 2
    field = np.broadcast_to((-SHIFT_MM / 2).astype(np.float32), (*grid.shape, 3)).copy()
    inside = template.image(grid).voxels > 0
    return Alignment(to_template, grid, field, -field, inside, QUALITY)


@pytest.fixture(scope="module")
def moved_atlas(template: TemplateHead) -> Volume:
    """The true labels of the moved head."""
    affine = template.atlas.affine_lps.copy()
    affine[:3, 3] += SHIFT_MM
    return Volume(template.atlas.voxels.copy(), affine)


def drawn_on(head: Volume, labels: range, step: int = 2) -> Areas:
    """Every second slice outlined, sides told by position for odd regions."""
    stack = SliceStack.from_volume(head)
    stack = SliceStack(
        stack.voxels[::step].copy(),
        stack.origins_lps[::step],
        stack.row_step_lps,
        stack.column_step_lps,
    )
    masks = np.stack([stack.voxels == label for label in labels])
    numbers = np.array(labels) - 1
    return Areas(
        masks=masks,
        region=(numbers % 10).astype(np.uint8),
        side=(numbers // 10).astype(np.uint8),
        read=masks.any(axis=(2, 3)),
        stack=stack.with_voxels(np.zeros(stack.shape, dtype=np.int16)),
    )


def test_there_and_back_is_the_same_point(alignment: Alignment) -> None:
    points = np.random.default_rng(0).uniform(-50, 50, (40, 3))
    np.testing.assert_allclose(alignment.to_atlas(points), points - SHIFT_MM, atol=1e-4)
    np.testing.assert_allclose(alignment.to_native(alignment.to_atlas(points)), points, atol=1e-4)


def test_an_alignment_comes_back_from_its_file(alignment: Alignment, tmp_path: Path) -> None:
    save_alignment(alignment, tmp_path / "a.npz")
    again = load_alignment(tmp_path / "a.npz")
    points = np.array([[1.0, 2.0, 3.0]])
    np.testing.assert_allclose(again.to_atlas(points), alignment.to_atlas(points))
    assert again.quality == QUALITY


def test_every_broken_limit_of_a_warp_has_its_reason() -> None:
    limits = read_rules().labels.limits
    assert QUALITY.failures(limits) == ()
    poor = WarpQuality(-0.1, 0.1, 5.0, 0.01, 0.9, 1.5, 0.1)
    assert poor.failures(limits) == (
        "warp-folds",
        "too-many-folded-voxels",
        "warp-shrinks-too-much",
        "warp-stretches-too-much",
        "inverse-inconsistent",
        "unlike-the-template",
    )


def test_labels_come_back_to_where_the_head_lies(template, alignment, moved_atlas) -> None:
    labels, brain = native_labels(moved_atlas.grid, alignment, unfitted(template), template)
    found = [dice(labels == n, moved_atlas.voxels == n) for n in range(1, 21)]
    assert min(found) > 0.9
    assert not labels[~brain].any()


def test_the_overlap_is_that_of_the_drawn_slices(template, alignment, moved_atlas) -> None:
    areas = drawn_on(moved_atlas, range(1, 21))
    found = overlap(areas, moved_atlas.voxels, moved_atlas.grid, alignment)
    assert list(found) == list(range(1, 21)) and min(found.values()) == 1.0
    wrong = np.where(moved_atlas.voxels == 6, 0, moved_atlas.voxels).astype(np.uint8)
    assert overlap(areas, wrong, moved_atlas.grid, alignment)[6] == 0.0


def test_planes_without_a_side_go_to_the_hemisphere_they_lie_in(
    template, alignment, moved_atlas
) -> None:
    both = drawn_on(moved_atlas, range(5, 6))
    right = drawn_on(moved_atlas, range(15, 16))
    joined = replace(
        both,
        masks=both.masks | right.masks,
        read=both.read | right.read,
        side=np.array([2], dtype=np.uint8),
    )
    found = overlap(joined, moved_atlas.voxels, moved_atlas.grid, alignment)
    assert set(found) == {5, 15} and min(found.values()) > 0.99


def test_carried_areas_are_where_the_atlas_has_them(template, alignment, moved_atlas) -> None:
    areas = drawn_on(moved_atlas, range(1, 21), step=1)
    carried = carry(areas, alignment, template)
    found = [dice(carried.cover[n - 1] > 127, template.atlas.voxels == n) for n in range(1, 21)]
    assert min(found) > 0.9


def test_the_mean_overlay_follows_the_majority_and_keeps_the_atlas_where_nobody_drew(
    template, alignment, moved_atlas
) -> None:
    whole = carry(drawn_on(moved_atlas, range(1, 21), step=1), alignment, template)
    without = replace(
        whole, cover=np.where(np.arange(20)[:, None, None, None] == 5, 0, whole.cover)
    )
    mostly, count = average([whole, whole, without], template)
    seldom, _ = average([whole, without, without], template)
    assert count == 3
    assert dice(mostly == 6, template.atlas.voxels == 6) > 0.9
    assert not (seldom == 6).any() and (seldom == 7).any()
    nobody = replace(whole, read=np.zeros_like(whole.read))
    np.testing.assert_array_equal(average([nobody], template)[0], template.atlas.voxels)


def test_own_outlines_win_on_read_slices_and_the_atlas_fills_the_rest(
    template, alignment, moved_atlas
) -> None:
    areas = drawn_on(moved_atlas, range(1, 21), step=1)
    top = int(np.flatnonzero(areas.read[4]).max())
    areas.read[4, top] = False
    carried = np.roll(moved_atlas.voxels, 3, axis=2)
    fused = with_own_outlines(carried, moved_atlas.grid, areas, alignment)
    drawn = [n for n in range(1, 21) if n != 5]
    assert min(dice(fused == n, moved_atlas.voxels == n) for n in drawn) > 0.98
    forgotten = fused[top] == 5
    assert forgotten.any() and not (forgotten & (carried[top] != 5)).any()


def test_stripping_takes_the_skull_and_leaves_a_calcification() -> None:
    voxels = np.full((1, 5, 12), 35, dtype=np.int16)
    voxels[:, :, :4] = 900
    voxels[:, 2, 8] = 300
    brain = np.zeros(voxels.shape, dtype=bool)
    brain[:, :, 3:10] = True
    bare = stripped(Volume(voxels, np.eye(4)), brain, 150.0).voxels
    assert (bare[:, :, :4] == -1024).all() and (bare[:, :, 10:] == -1024).all()
    assert bare[0, 2, 8] == 300 and bare[0, 2, 5] == 35


def test_a_registered_head_and_its_labels_lie_on_the_template(
    template, alignment, moved_atlas
) -> None:
    image = Volume((moved_atlas.voxels * 2).astype(np.int16), moved_atlas.affine_lps)
    kept = moved_atlas.voxels > 0
    moved = registered(image, kept, moved_atlas, alignment, template.atlas.grid)
    assert dice(moved.labels.voxels > 0, template.atlas.voxels > 0) > 0.98
    inside = (moved.labels.voxels == 9) & (template.atlas.voxels == 9)
    assert np.median(moved.image.voxels[inside]) == 18
    assert (moved.image.voxels[moved.labels.voxels == 0] == -1024).mean() > 0.99


def test_outline_images_are_bright_on_borders_and_tell_neighbours_apart() -> None:
    grid = lps_grid((20, 20, 20), 2.0, (0.0, 0.0, 0.0))
    labels = np.zeros(grid.shape, dtype=np.uint8)
    labels[:, :, 5:10], labels[:, :, 10:15] = 5, 6
    outline, *areas = outline_images(labels, grid, 2.0)
    assert outline[10, 10, 9:11].max() == 1.0 and outline[10, 10, 7] < 0.7
    owner = {int(np.argmax([one[10, 10, x] for one in areas])) for x in (7, 12)}
    assert len(owner) == 2


def test_areas_carried_areas_and_atlas_come_back_from_their_files(
    template, alignment, moved_atlas, tmp_path: Path
) -> None:
    areas = drawn_on(moved_atlas, range(1, 4))
    save_areas(areas, tmp_path / "areas.npz")
    again = load_areas(tmp_path / "areas.npz")
    np.testing.assert_array_equal(again.masks, areas.masks)
    np.testing.assert_array_equal(again.stack.origins_lps, areas.stack.origins_lps)

    carried = carry(areas, alignment, template)
    save_carried(carried, tmp_path / "carried.npz")
    np.testing.assert_array_equal(load_carried(tmp_path / "carried.npz").cover, carried.cover)

    fitted = unfitted(template)
    save_fitted(fitted, tmp_path / "fitted.npz")
    loaded = load_fitted(tmp_path / "fitted.npz")
    assert loaded.dice_after == fitted.dice_after and loaded.cases == 0


def test_a_coarser_template_shows_the_same_brain_over_the_same_extent(template) -> None:
    image = template.image(template.grid(4.0))
    inside = grid_points(image.grid)[image.voxels > 0.2]
    own = grid_points(template.hu.grid)[template.hu.voxels > 16]
    np.testing.assert_allclose(inside.mean(axis=0), own.mean(axis=0), atol=1.0)
    assert 0.3 < np.median(image.voxels[image.voxels > 0.2]) < 0.5
