"""Derived maps of a head, and the way between coarse and fine grids."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.training.labelled_head import anatomy, coarse_points
from willis_training.simulation.anatomy import DURA, Anatomy, pull_from_mni, to_fine


def test_a_coarse_map_of_a_plane_is_fine_exactly() -> None:
    k, j, i = np.meshgrid(np.arange(9.0), np.arange(7.0), np.arange(8.0), indexing="ij")
    plane = (3.0 * k - 2.0 * j + i).astype(np.float32)

    fine = to_fine(plane[::2, ::2, ::2].copy(), (9, 7, 8))

    np.testing.assert_allclose(fine[:, :, :7], plane[:, :, :7], atol=1e-5)
    # Beyond the last coarse voxel its value goes on.
    np.testing.assert_allclose(fine[..., 7], plane[..., 6], atol=1e-5)


def test_a_mask_in_mni_is_seen_where_the_head_says_its_voxels_lie() -> None:
    mask = np.zeros((90, 90, 90), dtype=bool)
    mask[45:, 45:, 45:] = True
    affine = np.array([[0, 0, 2.0, -90], [0, 2.0, 0, -90], [2.0, 0, 0, -90], [0, 0, 0, 1.0]])

    pulled = pull_from_mni(mask, affine, anatomy().head.mni_lps)

    points = coarse_points() * 2.0
    np.testing.assert_array_equal(pulled == 1.0, ((points >= 0.0) & (points <= 88.0)).all(axis=-1))


def test_distances_to_bone_and_ventricles_are_in_millimetres() -> None:
    points = coarse_points()
    centre = tuple(np.unravel_index(np.linalg.norm(points, axis=-1).argmin(), points.shape[:3]))

    # The skull begins 28 mm from the centre along x and z.
    assert anatomy().bone_distance_mm[centre] == pytest.approx(28.0, abs=2.5)
    assert anatomy().ventricle_distance_mm[centre] < 0
    beside = np.linalg.norm(points - [15.0, 0.0, 0.0], axis=-1).argmin()
    assert anatomy().ventricle_distance_mm.ravel()[beside] == pytest.approx(10.0, abs=2.5)


def test_regions_lie_where_there_is_brain_or_csf_never_in_bone() -> None:
    labels, regions = anatomy().labels, anatomy().regions

    assert (anatomy().head.regions[np.isin(labels, (515, 511, 0))] > 0).any()
    assert not regions[np.isin(labels, (515, 511, 0))].any()
    assert regions[labels == 3].any()


def test_a_thin_sheet_of_bone_within_the_brain_becomes_dura_and_the_skull_stays() -> None:
    head = anatomy().head
    labels = head.labels.copy()
    labels[46:58, 26:66, 39:41] = 515

    found = Anatomy(replace(head, labels=labels)).labels

    assert (found[46:58, 31:61, 39:41] == DURA).mean() > 0.9
    assert (found == 515).sum() == (head.labels == 515).sum()
