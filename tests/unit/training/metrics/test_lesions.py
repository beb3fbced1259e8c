from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from willis_training.metrics import ATLAS, ISLES22, ISLES24, ISLES26, lesion_wise

Mask = NDArray[np.uint8]


def grid(*cubes: tuple[tuple[int, int, int], int]) -> Mask:
    """Cubes (corner, side) on a grid of 40 voxels a side."""
    mask = np.zeros((40, 40, 40), dtype=np.uint8)
    for (z, y, x), side in cubes:
        mask[z : z + side, y : y + side, x : x + side] = 1
    return mask


EMPTY = grid()
TEN = grid(((5, 5, 5), 10))
CORNERS = grid(((5, 5, 5), 4), ((9, 9, 9), 4))

# (found, truth, F1, difference of counts, Dice) as the official ISLES'24 code gives them.
ISLES24_VECTORS = {
    "both empty": (EMPTY, EMPTY, 1.0, 0, 1.0),
    "nothing predicted": (EMPTY, TEN, 0.0, 1, 0.0),
    "shifted by 5 voxels": (grid(((5, 5, 10), 10)), TEN, 1.0, 0, 0.5),
    "shifted by 8 voxels": (grid(((5, 5, 13), 10)), TEN, 0.0, 0, 0.2),
    "one hit and one false": (
        grid(((5, 5, 5), 6), ((30, 30, 30), 6)),
        grid(((5, 5, 5), 6), ((20, 5, 5), 6)),
        0.5,
        0,
        0.5,
    ),
    "one large over two small": (
        grid(((5, 5, 5), 14)),
        grid(((6, 6, 6), 4), ((13, 13, 13), 4)),
        0.0,
        1,
        0.0891,
    ),
    "corner-touching pair, the first predicted": (
        grid(((5, 5, 5), 4)),
        CORNERS,
        1.0,
        0,
        0.6667,
    ),
}


@pytest.mark.parametrize("name", ISLES24_VECTORS)
def test_isles24_gives_the_official_figures(name: str) -> None:
    found, truth, f1, count_difference, dice = ISLES24_VECTORS[name]
    scores = lesion_wise(found, truth, ISLES24)
    assert scores.f1 == pytest.approx(f1)
    assert scores.count_difference == count_difference
    assert scores.dice == pytest.approx(dice, abs=5e-5)


def test_one_common_voxel_is_enough_for_isles22_and_atlas() -> None:
    shifted = grid(((5, 5, 13), 10))
    assert lesion_wise(shifted, TEN, ISLES22).f1 == 1.0
    assert lesion_wise(shifted, TEN, ATLAS).f1 == 1.0


def test_corners_make_one_lesion_for_isles_and_two_for_atlas() -> None:
    first = grid(((5, 5, 5), 4))
    by_corners, by_faces = lesion_wise(first, CORNERS, ISLES22), lesion_wise(first, CORNERS, ATLAS)
    assert (by_corners.f1, by_corners.count_difference) == (1.0, 0)
    assert (by_faces.f1, by_faces.count_difference) == (pytest.approx(2 / 3), 1)


def test_isles26_needs_more_overlap_than_isles24() -> None:
    shifted = grid(((5, 5, 11), 10))  # 400 of 1600 voxels: IoU exactly .25
    further = grid(((5, 6, 11), 10))  # 360 of 1640: .2195
    assert lesion_wise(shifted, TEN, ISLES26).f1 == 1.0
    assert lesion_wise(further, TEN, ISLES26).f1 == 0.0
    assert lesion_wise(further, TEN, ISLES24).f1 == 1.0


def test_a_bridge_over_two_lesions_is_one_hit_and_one_miss() -> None:
    truth = grid(((2, 2, 2), 3), ((6, 2, 2), 3))
    bridge = np.zeros_like(truth)
    bridge[2:9, 2:5, 2:5] = 1
    one_to_one, any_overlap = lesion_wise(bridge, truth, ISLES26), lesion_wise(bridge, truth, ATLAS)
    assert one_to_one.f1 == pytest.approx(2 / 3)
    assert any_overlap.f1 == 1.0
    assert (one_to_one.true_positives, one_to_one.false_negatives) == (1, 1)


def test_the_better_of_two_candidates_takes_the_lesion() -> None:
    truth = np.zeros((40, 40, 40), dtype=np.uint8)
    truth[5:15, 5:15, 5:15] = 1
    found = np.zeros_like(truth)
    found[5:15, 5:15, 5:9] = 1
    found[5:15, 5:15, 10:15] = 1
    scores = lesion_wise(found, truth, ISLES26)
    assert (scores.true_positives, scores.false_positives, scores.false_negatives) == (1, 1, 0)


def test_the_volume_difference_has_the_unit_of_its_challenge() -> None:
    half = grid(((5, 5, 5), 5))
    assert lesion_wise(half, TEN, ISLES26, (5.0, 0.5, 0.5)).volume_difference == pytest.approx(
        875 * 1.25 / 1000
    )
    assert lesion_wise(half, TEN, ATLAS, (5.0, 0.5, 0.5)).volume_difference == 875


def test_isles26_takes_the_area_from_the_soft_map() -> None:
    rng = np.random.default_rng(1)
    soft = np.where(TEN > 0, 0.6, 0.0) + 0.4 * rng.random(TEN.shape)
    assert lesion_wise(TEN, TEN, ISLES26, soft=soft).pr_auc == pytest.approx(1.0)
    assert lesion_wise(TEN, TEN, ISLES24, soft=soft).pr_auc is None
    assert lesion_wise(TEN, TEN, ISLES26).pr_auc is None


def test_without_a_lesion_only_a_constant_soft_map_has_area_one() -> None:
    flat = np.full(EMPTY.shape, 0.3)
    rising = np.linspace(0.0, 1.0, EMPTY.size).reshape(EMPTY.shape)
    assert lesion_wise(EMPTY, EMPTY, ISLES26, soft=flat).pr_auc == 1.0
    assert lesion_wise(EMPTY, EMPTY, ISLES26, soft=rising).pr_auc == 0.0


def test_maps_on_different_grids_are_refused() -> None:
    with pytest.raises(ValueError, match="different grids"):
        lesion_wise(EMPTY[:-1], EMPTY, ISLES26)
