"""Vessels lie where anatomy has them, as wide as they are."""

from __future__ import annotations

import numpy as np

from tests.unit.training.labelled_head import anatomy
from tests.unit.training.simulation.ctp.small_head import head
from willis_training.simulation.ctp.head import ORBITAL_FAT, _with_orbital_fat
from willis_training.simulation.ctp.vessels import FULL, LEFT_M1, RIGHT_M1, draw_vessels
from willis_training.simulation.tissue import membership


def mni(mask: np.ndarray) -> np.ndarray:
    """MNI LPS positions of voxels; the small head is half as large as MNI's."""
    return anatomy().grid.to_world(np.argwhere(mask)) * 2.0


def test_the_left_trunk_lies_on_the_patients_left_and_the_right_on_the_right() -> None:
    trunk = head().trunk

    assert (mni(trunk == LEFT_M1)[:, 0] > 10).all()
    assert (mni(trunk == RIGHT_M1)[:, 0] < -10).all()


def test_the_trunks_run_in_front_of_the_midbrain_at_the_skull_base() -> None:
    where = mni(head().trunk > 0)

    assert ((where[:, 1] > -12) & (where[:, 1] < 4)).all()
    assert ((where[:, 2] > -26) & (where[:, 2] < -8)).all()


def test_arteries_are_symmetric() -> None:
    x = mni(head().artery > 0)[:, 0]

    assert abs((x > 1).sum() / (x < -1).sum() - 1.0) < 0.1


def test_the_sinus_lies_at_the_midline_behind_and_above_next_to_the_bone() -> None:
    vein = head().vein > FULL // 2
    where = mni(vein)
    high = where[where[:, 2] > 10]

    assert len(high) > 20
    assert (np.abs(high[:, 0]) < 14).all()
    # The bone's distance is coarse: every second voxel.
    distance = anatomy().bone_distance_mm[tuple(np.argwhere(vein).T // 2)]
    assert (distance < 9.0).all()


def test_no_voxel_is_both_artery_and_vein() -> None:
    assert not ((head().artery > 0) & (head().vein > 0)).any()


def test_the_same_head_gets_the_same_vessels() -> None:
    np.testing.assert_array_equal(draw_vessels(anatomy()).artery, head().artery)


def test_soft_tissue_around_the_eye_becomes_fat_and_the_rest_stays() -> None:
    labels = np.full((30, 30, 30), 507, np.uint16)
    labels[12:16, 12:16, 12:16] = 506
    labels[:, :, 20:] = 515

    found = _with_orbital_fat(labels)

    assert found[14, 14, 10] == ORBITAL_FAT
    assert found[14, 14, 14] == 506
    assert found[0, 0, 0] == 507
    assert (found[:, :, 20:] == 515).all()
    assert membership((507,))[ORBITAL_FAT] == 0
