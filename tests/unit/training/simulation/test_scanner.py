"""How a simulated scan is acquired."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from willis_models.imaging.midplane import midplane_of
from willis_training.simulation.scanner import Scanner, draw_scanner, rotation, slice_origins

BRAIN_LPS = np.random.default_rng(0).uniform(-70.0, 70.0, (500, 3))


@pytest.mark.parametrize("tilt_deg", [-25.0, 0.0, 18.5])
@pytest.mark.parametrize("mixed", [False, True])
def test_the_slices_cover_the_brain(tilt_deg: float, mixed: bool) -> None:
    scanner = replace(Scanner(), tilt_deg=tilt_deg, mixed=mixed)

    origins, column = slice_origins(scanner, BRAIN_LPS, (5.0, 10.0))

    normal = np.cross([1.0, 0.0, 0.0], column)
    along = origins @ normal
    assert along[0] == pytest.approx((BRAIN_LPS @ normal).min() - 5.0)
    assert along[-1] >= (BRAIN_LPS @ normal).max() + 10.0 - 1e-6
    assert (np.diff(along) > 0).all()


def test_the_table_moves_along_the_scanners_axis_only() -> None:
    origins, _ = slice_origins(replace(Scanner(), tilt_deg=20.0), BRAIN_LPS, (0.0, 0.0))

    np.testing.assert_allclose(np.diff(origins, axis=0)[:, :2], 0.0, atol=1e-9)
    np.testing.assert_allclose(np.diff(origins[:, 2]), 5.0 / np.cos(np.radians(20.0)))


def test_a_mixed_protocol_has_wider_steps_above_the_skull_base() -> None:
    origins, _ = slice_origins(replace(Scanner(), mixed=True), BRAIN_LPS, (0.0, 0.0))

    assert sorted(set(np.diff(origins[:, 2]).round(6))) == [5.0, 7.5]


def test_roll_and_yaw_of_the_scanner_are_those_of_the_midplane() -> None:
    scanner = replace(Scanner(), roll_deg=11.0, yaw_deg=-7.0, pitch_deg=14.0)
    to_template = np.eye(4)
    to_template[:3, :3] = rotation(scanner).T

    plane = midplane_of(to_template)

    assert plane.roll_deg == pytest.approx(11.0)
    assert plane.yaw_deg == pytest.approx(-7.0)


def test_drawn_scanners_stay_within_what_the_service_accepts() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_scanner(rng) for _ in range(200)]

    assert all(1.0 <= s.thickness_mm <= 8.0 for s in drawn)
    assert all(abs(s.roll_deg) <= 12.0 and abs(s.yaw_deg) <= 12.0 for s in drawn)
    assert 0.3 < np.mean([s.tilt_deg != 0.0 for s in drawn]) < 0.5
    assert {s.matrix for s in drawn} == {256}
