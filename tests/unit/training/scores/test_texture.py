from __future__ import annotations

import numpy as np
import pytest

from willis_training.scores.texture import (
    LEVELS,
    co_occurrence,
    entropy_bits,
    first_order,
    grey_levels,
    local_patterns,
)

SHAPE = (4, 12, 12)
BOX = np.zeros(SHAPE, dtype=bool)
BOX[1:3, 2:10, 2:10] = True


def checkerboard(low_hu: float, high_hu: float) -> np.ndarray:
    _, y, x = np.indices(SHAPE)
    return np.where((y + x) % 2 == 0, low_hu, high_hu).astype(np.float32)


def test_grey_levels_fill_the_range_and_clip_beyond_it() -> None:
    levels = grey_levels(np.array([-1000.0, 10.0, 59.9, 300.0]))
    assert levels.tolist() == [1, 1, LEVELS, LEVELS]


def test_the_entropy_of_equal_shares_is_the_logarithm_of_their_number() -> None:
    assert entropy_bits(np.array([5, 5, 5, 5])) == pytest.approx(2.0)
    assert entropy_bits(np.array([7, 0, 0])) == 0.0
    assert entropy_bits(np.zeros(4)) == 0.0


def test_a_flat_region_has_no_first_order_shape() -> None:
    found = first_order(np.full(50, 33.0, dtype=np.float32))
    assert found == {
        "sd_hu": 0.0,
        "skewness": 0.0,
        "kurtosis": 0.0,
        "entropy_bits": 0.0,
        "interquartile_range_hu": 0.0,
    }


def test_noise_raises_first_order_spread() -> None:
    rng = np.random.default_rng(0)
    calm, loud = (first_order(rng.normal(35, sd, 500).astype(np.float32)) for sd in (1.0, 5.0))
    assert loud["sd_hu"] == pytest.approx(5.0, rel=0.1)
    assert loud["entropy_bits"] > calm["entropy_bits"] + 1.0


def test_a_flat_region_is_homogeneous_and_without_contrast() -> None:
    found = co_occurrence(np.full(SHAPE, 35.0, dtype=np.float32), BOX)
    assert found["homogeneity"] == pytest.approx(1.0)
    assert found["energy"] == pytest.approx(1.0)
    assert found["contrast"] == found["entropy_bits"] == 0.0


def test_a_checkerboard_contrasts_along_the_axes_and_not_along_diagonals() -> None:
    """Levels 4 apart: contrast 16 between direct neighbours, 0 diagonally."""
    found = co_occurrence(checkerboard(12.0, 12.0 + 4 * 50 / 16), BOX)
    direct, diagonal = 2 * 8 * 7, 2 * 7 * 7
    assert found["contrast"] == pytest.approx(16.0 * direct / (direct + diagonal))


def test_what_lies_outside_the_mask_does_not_change_its_texture() -> None:
    image = checkerboard(20.0, 40.0)
    noisy = np.where(BOX, image, 1000.0).astype(np.float32)
    assert co_occurrence(noisy, BOX) == co_occurrence(image, BOX)


def test_a_lone_voxel_has_no_texture() -> None:
    lone = np.zeros(SHAPE, dtype=bool)
    lone[2, 5, 5] = True
    image = checkerboard(20.0, 40.0)
    assert set(co_occurrence(image, lone).values()) == {0.0}
    assert local_patterns(image, lone).sum() == 0.0


def test_local_patterns_tell_spots_from_flat_ground() -> None:
    """Every neighbour of a dark spot is at least as bright: pattern 8; a bright spot: pattern 0."""
    spots = np.full(SHAPE, 30.0, dtype=np.float32)
    spots[:, 5, 5] = 40.0
    found = local_patterns(spots, BOX)
    assert found.sum() == pytest.approx(1.0)
    assert found[0] == pytest.approx(1 / 36)
    assert local_patterns(np.full(SHAPE, 30.0, dtype=np.float32), BOX)[8] == 1.0
