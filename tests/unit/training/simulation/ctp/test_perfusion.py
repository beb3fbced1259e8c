"""A simulated scan shows what its truth says, in space and in time."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from tests.unit.training.simulation.ctp.small_head import QUIET, head, stroke
from willis_training.simulation.ctp.curves import Bolus
from willis_training.simulation.ctp.parameters import value
from willis_training.simulation.ctp.perfusion import (
    SimulatedPerfusion,
    noise_share,
    simulate_perfusion,
)
from willis_training.simulation.ctp.protocol import Protocol

BOLUS = Bolus(8.0, 1.5, 300.0, 0.18, 10.0)


def scan(protocol: Protocol = QUIET, seed: int = 5, bolus: Bolus = BOLUS) -> SimulatedPerfusion:
    return simulate_perfusion(
        head(), protocol, np.random.default_rng(seed), stroke(), bolus=bolus, angiography=True
    )


@cache
def quiet_scan() -> SimulatedPerfusion:
    return scan()


def rise(study: SimulatedPerfusion) -> np.ndarray:
    frames = study.dynamic.frames.astype(np.float64)
    return frames - frames[:3].mean(axis=0)


def test_the_same_seed_gives_the_same_study() -> None:
    again = scan()

    np.testing.assert_array_equal(again.dynamic.frames, quiet_scan().dynamic.frames)
    np.testing.assert_array_equal(again.truth.cbf, quiet_scan().truth.cbf)


def test_truth_and_frames_share_one_geometry_and_masks_lie_in_the_brain() -> None:
    study, truth = quiet_scan(), quiet_scan().truth

    assert study.dynamic.frames.shape[1:] == truth.cbf.shape == truth.core.shape
    for mask in (truth.core, truth.penumbra, truth.final_infarct):
        assert mask.any() and not (mask & ~truth.brain).any()
    assert not (truth.core & truth.penumbra).any()
    assert (truth.cbf[~truth.brain] == 0).all()


def test_the_infarct_on_the_slices_lies_on_the_patients_left() -> None:
    study = quiet_scan()
    places = np.argwhere(study.truth.final_infarct)
    x_lps = study.dynamic.mean.to_world(places.astype(float))[:, 0]

    assert (x_lps > 0).mean() > 0.95


def test_blood_volume_can_be_read_from_the_curves() -> None:
    """Central volume principle: area of tissue over area of the artery, without late blood."""
    once = Bolus(8.0, 1.5, 300.0, 0.0, 10.0)
    study = scan(replace(QUIET, duration_s=80.0), bolus=once)
    vessels = rise(study).max(axis=0) > 40
    tissue = study.truth.brain & ~study.truth.core & ~study.truth.penumbra & ~vessels
    times = study.dynamic.times_s[:, 0]
    artery = once.curve(np.arange(0.0, 80.0, 0.1)).sum() * 0.1
    factor = value("haematocrit_factor") / value("density_g_ml")

    area = np.trapezoid(rise(study)[:, tissue], times, axis=0)
    found = np.median(100 * factor * area / artery)
    assert found == pytest.approx(np.median(study.truth.cbv[tissue]), rel=0.2)


def test_penumbra_rises_later_and_core_hardly_at_all() -> None:
    study, truth = quiet_scan(), quiet_scan().truth
    normal = truth.brain & ~truth.core & ~truth.penumbra & (truth.delay_s < 2.0)
    times = study.dynamic.times_s[:, 0]
    curves = {
        name: np.median(rise(study)[:, mask], axis=1)
        for name, mask in (("normal", normal), ("penumbra", truth.penumbra), ("core", truth.core))
    }

    peak_s = {name: times[curve.argmax()] for name, curve in curves.items()}
    assert peak_s["penumbra"] > peak_s["normal"] + 1.0
    assert curves["core"].max() < 0.5 * curves["normal"].max()


def test_flow_of_the_classes_is_that_of_the_table() -> None:
    truth = quiet_scan().truth
    normal = truth.brain & ~truth.core & ~truth.penumbra & (truth.delay_s < 1.5)

    highest = np.percentile(truth.cbf[normal], 90)
    assert value("white_cbf_normal") < highest < 1.4 * value("grey_cbf_normal")
    assert np.median(truth.cbf[truth.core]) < 0.35 * np.median(truth.cbf[normal])
    np.testing.assert_allclose(
        truth.mtt[truth.brain], 60 * truth.cbv[truth.brain] / truth.cbf[truth.brain], rtol=1e-3
    )


def test_contrast_comes_in_the_artery_before_the_vein() -> None:
    study = quiet_scan()
    bright = rise(study).max(axis=0) > 60
    peaks = study.dynamic.times_s[rise(study)[:, bright].argmax(axis=0), 0]

    assert bright.any()
    assert peaks.max() - peaks.min() > 3.0


def test_noise_has_the_standard_deviation_of_its_voxel_size() -> None:
    noisy = replace(QUIET, scanner=replace(QUIET.scanner, noise_hu=5.0))
    before = slice(0, 4)
    difference = scan(noisy).dynamic.frames[before].astype(float)
    difference -= quiet_scan().dynamic.frames[before]

    expected = 5.0 * noise_share(QUIET.scanner.pixel_mm)
    assert difference.std() == pytest.approx(expected, rel=0.1)


def test_averaging_lowers_the_noise_and_native_pixels_keep_it() -> None:
    assert noise_share(0.4) == 1.0
    assert 1.0 > noise_share(0.9) > noise_share(2.0) > 0.1


def test_a_moving_head_changes_frames_after_the_jerk_only() -> None:
    moving = scan(replace(QUIET, jerks=1))
    first = int(np.flatnonzero(moving.motion.of_frame)[0])
    bone = moving.dynamic.frames[0] > 300
    change = np.abs(moving.dynamic.frames - moving.dynamic.frames[0])[:, bone].mean(axis=1)

    assert change[:first].max() < 5.0
    assert change[first:].min() > 20.0


def test_without_a_stroke_nothing_is_infarcted_and_nothing_is_late() -> None:
    study = simulate_perfusion(head(), QUIET, np.random.default_rng(1), angiography=False)

    assert not study.truth.final_infarct.any()
    assert study.truth.delay_s.max() < 1.5
    assert study.cta is None


def test_stored_images_are_whole_hounsfield_units() -> None:
    study = scan(replace(QUIET, whole_hu=True))

    assert study.dynamic.frames.dtype == np.int16
    assert study.ncct.voxels.dtype == np.int16


def test_arteries_are_bright_on_the_angiography_only() -> None:
    study = quiet_scan()
    assert study.cta is not None

    extra = study.cta.voxels - study.ncct.voxels
    assert extra.max() > 60
    assert study.ncct.shape[0] >= study.dynamic.frames.shape[1]
