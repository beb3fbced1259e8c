"""The midplane in the scan's world, and the symmetry of the head about it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.models.phantoms import brain_hu, rotation
from willis_models.imaging.midplane import midplane_of, symmetry
from willis_models.imaging.register import inverse_of
from willis_models.imaging.resample import grid_points, lps_grid

GRID = lps_grid((40, 56, 72), 2.0, (-71.0, -55.0, -40.0))


def to_template(linear: np.ndarray, shift_mm: np.ndarray) -> np.ndarray:
    """The affine of a head that was turned by ``linear`` and then shifted in the scanner."""
    from_template = np.eye(4)
    from_template[:3, :3], from_template[:3, 3] = linear, shift_mm
    return inverse_of(from_template)


@pytest.mark.parametrize(("roll_deg", "yaw_deg"), [(0, 0), (12, 0), (0, -9), (-14, 20), (25, 25)])
@pytest.mark.parametrize("pitch_deg", [0.0, 17.0])
def test_roll_and_yaw_of_a_turned_head_come_back(
    roll_deg: float, yaw_deg: float, pitch_deg: float
) -> None:
    turned = rotation(roll_deg, pitch_deg, yaw_deg)

    plane = midplane_of(to_template(turned, np.array([5.0, -20.0, 300.0])))

    assert plane.roll_deg == pytest.approx(roll_deg, abs=1e-6)
    assert plane.yaw_deg == pytest.approx(yaw_deg, abs=1e-6)
    np.testing.assert_allclose(plane.point_lps, [5.0, -20.0, 300.0])


def test_pitch_alone_leaves_the_midplane_upright() -> None:
    plane = midplane_of(to_template(rotation(pitch_deg=20.0), np.zeros(3)))

    assert plane.rotation_deg == pytest.approx(0.0, abs=1e-4)


def test_the_rotation_is_the_angle_to_the_scanners_left_right_axis() -> None:
    plane = midplane_of(to_template(rotation(roll_deg=10.0, yaw_deg=10.0), np.zeros(3)))

    cosine = np.cos(np.radians(10.0)) ** 2
    assert plane.rotation_deg == pytest.approx(np.degrees(np.arccos(cosine)))


def test_the_normal_points_to_patient_left_whatever_size_and_shear_the_head_has() -> None:
    shear = np.array([[1.1, 0.1, 0.0], [0.0, 0.9, -0.05], [0.05, 0.0, 1.2]])
    matrix = to_template(rotation(15.0, 5.0, -10.0) @ shear, np.array([9.0, 0.0, 0.0]))
    rng = np.random.default_rng(0)
    template_points = rng.uniform(-80.0, 80.0, (200, 3))
    native = template_points @ inverse_of(matrix)[:3, :3].T + inverse_of(matrix)[:3, 3]

    plane = midplane_of(matrix)
    distance_mm = plane.distance_mm(native)

    assert np.linalg.norm(plane.normal_lps) == pytest.approx(1.0)
    np.testing.assert_array_equal(distance_mm > 0, template_points[:, 0] > 0)
    on_plane = native - distance_mm[:, None] * plane.normal_lps
    x_template = on_plane @ matrix[0, :3] + matrix[0, 3]
    np.testing.assert_allclose(x_template, 0.0, atol=1e-9)


def noisy_brain(shift_mm: float = 0.0, turn: np.ndarray | None = None) -> np.ndarray:
    points = grid_points(GRID) - np.array([shift_mm, 0.0, 0.0])
    hu = brain_hu(points if turn is None else points @ turn)
    return (hu + np.random.default_rng(0).normal(0.0, 3.0, hu.shape)).astype(np.float32)


def of_brain(hu: np.ndarray, shift_mm: float = 0.0, turn: np.ndarray | None = None) -> float:
    points = grid_points(GRID) - np.array([shift_mm, 0.0, 0.0])
    inside = brain_hu(points if turn is None else points @ turn) > 0
    return symmetry(hu, inside, GRID)


def test_a_brain_that_mirrors_itself_has_a_symmetry_of_one() -> None:
    hu = noisy_brain()
    both = (hu + hu[..., ::-1]) / 2

    assert of_brain(both) == pytest.approx(1.0, abs=1e-3)


def test_symmetry_falls_as_the_midplane_moves_away() -> None:
    figures = [of_brain(noisy_brain(mm), mm) for mm in (0.0, 4.0, 8.0)]

    assert figures[0] > 0.8
    assert figures[0] > figures[1] + 0.1 > figures[2] + 0.2


def test_symmetry_falls_as_the_head_is_turned() -> None:
    turns = [rotation(roll_deg=angle, yaw_deg=angle) for angle in (0.0, 6.0, 12.0)]

    figures = [of_brain(noisy_brain(turn=turn), turn=turn) for turn in turns]

    assert figures[0] > figures[1] + 0.05 > figures[2] + 0.1


def test_blood_on_one_side_does_not_swamp_the_figure() -> None:
    hu = noisy_brain()
    clot = hu.copy()
    clot[18:22, 26:30, 50:54] = 3000.0

    assert of_brain(clot) == pytest.approx(of_brain(hu), abs=0.1)


def test_nothing_to_compare_is_no_symmetry() -> None:
    left_only = np.zeros(GRID.shape, dtype=bool)
    left_only[..., 40:] = True
    flat = np.full(GRID.shape, 30.0, dtype=np.float32)

    assert symmetry(flat, left_only, GRID) == 0.0
    assert symmetry(flat, np.ones(GRID.shape, dtype=bool), GRID) == 0.0
