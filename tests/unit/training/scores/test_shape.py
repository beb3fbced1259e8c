from __future__ import annotations

import numpy as np
import pytest

from willis_training.scores.shape import faces_mm2, shape_of


def ball(radius: float, stretch: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> np.ndarray:
    z, y, x = (axis - 20 for axis in np.indices((41, 41, 41)))
    a, b, c = stretch
    return np.asarray((z / a) ** 2 + (y / b) ** 2 + (x / c) ** 2 <= radius**2)


def test_a_box_has_the_volume_and_the_faces_of_a_box() -> None:
    box = np.zeros((6, 6, 6), dtype=bool)
    box[1:3, 1:4, 1:5] = True
    assert shape_of(box, (3.0, 2.0, 1.0))["volume_ml"] == pytest.approx(6 * 6 * 4 / 1000)
    assert faces_mm2(box, (3.0, 2.0, 1.0)) == pytest.approx(2 * (6 * 6 + 6 * 4 + 6 * 4))


def test_a_ball_is_spherical_and_a_rod_is_not() -> None:
    round_, rod = shape_of(ball(12), (1, 1, 1)), shape_of(ball(6, (3, 1, 1)), (1, 1, 1))
    assert round_["sphericity"] == pytest.approx(1.0, abs=0.05)
    assert round_["elongation"] == pytest.approx(1.0, abs=0.01)
    assert rod["sphericity"] == pytest.approx(0.88, abs=0.05)
    assert rod["elongation"] == pytest.approx(1 / 3, abs=0.03)


def test_a_disc_is_flat_and_voxel_size_counts() -> None:
    disc = ball(5, (1, 3, 3))
    assert shape_of(disc, (1, 1, 1))["flatness"] == pytest.approx(1 / 3, abs=0.03)
    assert shape_of(disc, (3, 1, 1))["flatness"] == pytest.approx(1.0, abs=0.1)


def test_a_single_voxel_has_a_shape_too() -> None:
    lone = np.zeros((3, 3, 3), dtype=bool)
    lone[1, 1, 1] = True
    found = shape_of(lone, (2.0, 2.0, 2.0))
    assert found["volume_ml"] == 0.008
    assert found["elongation"] == found["flatness"] == 1.0
