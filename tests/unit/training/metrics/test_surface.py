from __future__ import annotations

import numpy as np
import pytest

from willis_training.metrics import surface_distances_mm


def plate(z: int) -> np.ndarray:
    mask = np.zeros((20, 8, 8), dtype=bool)
    mask[z] = True
    return mask


def test_two_plates_lie_their_gap_apart_in_millimetres() -> None:
    found = surface_distances_mm(plate(3), plate(6), (2.5, 1.0, 1.0), tolerance_mm=7.0)
    assert (found.mean_mm, found.hd95_mm, found.nsd) == (7.5, 7.5, 0.0)
    assert surface_distances_mm(plate(3), plate(6), (2.0, 1.0, 1.0), 6.0).nsd == 1.0


def test_a_mask_lies_on_itself() -> None:
    found = surface_distances_mm(plate(3), plate(3), (1.0, 1.0, 1.0))
    assert (found.mean_mm, found.hd95_mm, found.nsd) == (0.0, 0.0, 1.0)


def test_an_empty_mask_lies_infinitely_far_from_a_full_one_and_on_another_empty_one() -> None:
    nothing = np.zeros_like(plate(0))
    one_sided = surface_distances_mm(nothing, plate(3), (1.0, 1.0, 1.0))
    neither = surface_distances_mm(nothing, nothing, (1.0, 1.0, 1.0))
    assert (one_sided.mean_mm, one_sided.hd95_mm, one_sided.nsd) == (np.inf, np.inf, 0.0)
    assert (neither.mean_mm, neither.hd95_mm, neither.nsd) == (0.0, 0.0, 1.0)


def test_the_larger_directed_percentile_counts() -> None:
    truth = plate(3)
    found = truth.copy()
    found[12, :2] = True  # a false island, 16 of 80 surface voxels, seen from one direction only
    distances = surface_distances_mm(found, truth, (1.0, 1.0, 1.0))
    assert distances.hd95_mm == 9.0
    assert surface_distances_mm(truth, found, (1.0, 1.0, 1.0)).hd95_mm == 9.0
    assert distances.mean_mm == pytest.approx(16 * 9 / (80 + 64))
