"""Acquisition: clocks, slabs and motion are what they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.training.simulation.ctp.small_head import QUIET
from willis_training.simulation.ctp.parameters import PARAMETERS, value
from willis_training.simulation.ctp.protocol import (
    Pose,
    draw_motion,
    native_protocol,
    training_protocol,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_even_sampling_starts_at_zero_and_keeps_its_interval() -> None:
    times = QUIET.times_s(rng())

    assert times[0].max() == 0.0
    assert np.diff(times, axis=0) == pytest.approx(1.5, abs=0.05)
    assert times.max() < QUIET.duration_s + 0.1


def test_in_shuttle_mode_the_upper_half_is_scanned_between_the_lower_ones() -> None:
    times = replace(QUIET, shuttle=True).times_s(rng())

    np.testing.assert_allclose(times[:, 4:] - times[:, :4], 0.75)


def test_uneven_sampling_doubles_its_interval_late() -> None:
    times = replace(QUIET, late_dt_s=3.0, duration_s=70.0).times_s(rng())[:, 0]
    steps = np.diff(times)

    after = value("uneven_after_s")
    assert steps[times[1:] < after - 2] == pytest.approx(1.5, abs=0.05)
    assert steps[times[:-1] > after] == pytest.approx(3.0, abs=0.05)


def test_a_scan_for_training_stays_within_the_table() -> None:
    for seed in range(50):
        drawn = training_protocol(rng(seed))
        assert PARAMETERS["dt_s"].low <= drawn.dt_s <= PARAMETERS["dt_s"].high
        assert 40.0 <= drawn.coverage_mm <= 160.0
        assert 4.0 <= drawn.scanner.thickness_mm <= 10.0
        assert 45.0 <= drawn.duration_s <= 90.0
        assert 1.7 < drawn.scanner.pixel_mm < 2.2


def test_a_native_scan_has_45_frames_of_16_slices_in_whole_hounsfield_units() -> None:
    drawn = native_protocol(rng())

    assert drawn.times_s(rng()).shape == (45, 16)
    assert drawn.scanner.matrix == 512 and drawn.whole_hu


def test_the_head_lies_still_between_jerks() -> None:
    motion = draw_motion(replace(QUIET, jerks=2), 40, rng(4))

    assert motion.of_frame[0] == 0 and motion.of_frame[-1] == 2
    assert (np.diff(motion.of_frame) >= 0).all()
    assert np.linalg.norm(motion.poses[1].shift_mm) > 0


def test_a_pose_is_rigid_and_turns_about_the_middle() -> None:
    middle = np.array([3.0, -4.0, 12.0])
    pose = Pose((5.0, -3.0, 8.0), (1.0, 2.0, -0.5))
    points = rng(1).normal(0.0, 50.0, (20, 3))

    moved = pose.undone(points, middle)
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
    np.testing.assert_allclose(np.linalg.norm(moved[:, None] - moved[None], axis=-1), distances)
    np.testing.assert_allclose(pose.undone(middle + np.array(pose.shift_mm), middle), middle)
    np.testing.assert_allclose(Pose().undone(points, middle), points)
