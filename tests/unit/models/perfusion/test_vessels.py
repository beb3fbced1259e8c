"""The artery and the vein, found or pointed at."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from tests.unit.models.perfusion.block_phantom import (
    Phantom,
    artery_at,
    frame_times,
    make_phantom,
    vein_at,
)
from willis_models.errors import NoBolus, NoVessel
from willis_models.imaging.components import Mask
from willis_models.perfusion.binning import bin_series
from willis_models.perfusion.curves import Enhancement, enhancement_of
from willis_models.perfusion.masks import find_head
from willis_models.perfusion.parameters import DEFAULTS
from willis_models.perfusion.vessel_curve import VesselCurve
from willis_models.perfusion.vessels import (
    find_artery,
    find_vein,
    scaled_to_vein,
    vessel_at,
)

LIMITS = DEFAULTS.vessels


@cache
def phantom(noise_hu: float = 2.0) -> Phantom:
    return make_phantom(frame_times(1.5, 60.0, 3), noise_hu=noise_hu, pixels=128)


def enhanced(made: Phantom) -> tuple[Enhancement, Mask]:
    series = bin_series(made.dynamic, 0.8)
    brain = find_head(series.frames.mean(axis=0), series.spacing_mm, DEFAULTS.masks).brain
    return enhancement_of(series, brain, 0.5, 3.0, LIMITS), brain


@cache
def found(noise_hu: float = 2.0) -> tuple[Enhancement, Mask, VesselCurve, VesselCurve]:
    enhancement, brain = enhanced(phantom(noise_hu))
    artery = find_artery(enhancement, brain, LIMITS)
    return enhancement, brain, artery, find_vein(enhancement, brain, artery, LIMITS)


def in_plane_mm(curve: VesselCurve, place_lps: np.ndarray) -> float:
    return float(np.linalg.norm((curve.position_lps - place_lps)[:2]))


@pytest.mark.parametrize("noise_hu", [0.0, 2.0, 5.0])
def test_the_artery_is_found_where_it_is(noise_hu: float) -> None:
    _, _, artery, _ = found(noise_hu)
    assert in_plane_mm(artery, phantom(noise_hu).artery_lps) < 4.0


@pytest.mark.parametrize("noise_hu", [0.0, 2.0, 5.0])
def test_the_vein_is_the_sinus_at_the_posterior_midline(noise_hu: float) -> None:
    _, _, _, vein = found(noise_hu)
    assert in_plane_mm(vein, phantom(noise_hu).vein_lps) < 6.0


def test_the_curves_are_those_of_the_blood() -> None:
    _, _, artery, vein = found()
    for curve, truth in ((artery, artery_at), (vein, vein_at)):
        expected = truth(curve.times_s)
        assert np.abs(curve.hu - expected).max() < 0.12 * expected.max()


def test_the_quality_describes_the_curve() -> None:
    _, _, artery, _ = found()
    quality = artery.quality
    truth = artery_at(np.arange(0.0, 60.0, 0.1))
    assert quality.peak_hu == pytest.approx(300.0, rel=0.08)
    assert quality.arrival_s == pytest.approx(11.0, abs=1.0)
    assert quality.peak_s == pytest.approx(14.5, abs=1.0)
    assert quality.fwhm_s == pytest.approx(0.1 * (truth > 150.0).sum(), abs=1.0)
    assert quality.last_share == pytest.approx(0.12, abs=0.04)
    assert 3.0 < quality.diameter_mm < 7.0
    assert not quality.is_manual


def test_the_vein_comes_after_the_artery() -> None:
    _, _, artery, vein = found()
    assert vein.quality.peak_s > artery.quality.peak_s + 3.0


def test_a_cut_bolus_shows_in_the_last_share() -> None:
    enhancement, brain = enhanced(make_phantom(frame_times(1.5, 18.0, 3), noise_hu=2.0))
    assert find_artery(enhancement, brain, LIMITS).quality.last_share > 0.5


def test_a_place_that_a_person_chose_is_used() -> None:
    enhancement, *_ = found()
    vein = vessel_at(enhancement, phantom().vein_lps + np.array([1.0, -2.0, 0.0]), LIMITS)
    assert vein.quality.is_manual
    assert in_plane_mm(vein, phantom().vein_lps) < 5.0
    assert vein.quality.peak_s > 18.0


@pytest.mark.parametrize("place", [(40.0, 0.0, 0.0), (0.0, 0.0, 400.0), (1e4, 0.0, 0.0)])
def test_a_place_without_a_vessel_is_refused(place: tuple[float, float, float]) -> None:
    enhancement, *_ = found()
    with pytest.raises(NoVessel):
        vessel_at(enhancement, np.array(place), LIMITS)


def test_without_contrast_there_is_no_bolus() -> None:
    with pytest.raises(NoBolus):
        enhanced(make_phantom(frame_times(2.0, 40.0, 3), noise_hu=3.0, peak_hu=0.0))


def test_a_scan_that_ends_before_the_contrast_comes_has_no_bolus() -> None:
    with pytest.raises(NoBolus):
        enhanced(make_phantom(frame_times(2.0, 30.0, 3), noise_hu=3.0, arrival_s=40.0))


def test_where_nothing_is_searched_no_artery_is_found() -> None:
    enhancement, brain, *_ = found()
    with pytest.raises(NoVessel):
        find_artery(enhancement, np.zeros_like(brain), LIMITS)


def test_the_same_images_give_the_same_artery() -> None:
    enhancement, brain, artery, _ = found()
    again = find_artery(enhancement, brain, LIMITS)
    assert np.array_equal(again.hu, artery.hu)


def weakened(artery: VesselCurve, share: float, diameter_mm: float) -> VesselCurve:
    quality = replace(artery.quality, diameter_mm=diameter_mm)
    return replace(artery, hu=artery.hu * share, quality=quality)


def test_a_small_artery_is_scaled_to_the_vein() -> None:
    _, _, artery, vein = found()
    scaled = scaled_to_vein(weakened(artery, 0.5, diameter_mm=2.5), vein, LIMITS)
    assert scaled.area_hu_s == pytest.approx(vein.area_hu_s)
    assert scaled.quality.scaled_by == pytest.approx(2.0, rel=0.15)
    assert scaled.quality.peak_hu == artery.quality.peak_hu


def test_a_wide_artery_is_not_scaled() -> None:
    _, _, artery, vein = found()
    wide = weakened(artery, 0.5, diameter_mm=6.0)
    assert scaled_to_vein(wide, vein, LIMITS) is wide


def test_an_artery_as_strong_as_the_vein_is_not_scaled() -> None:
    _, _, artery, vein = found()
    full = weakened(artery, 1.0, diameter_mm=2.5)
    assert scaled_to_vein(full, vein, LIMITS) is full


def test_scaling_has_a_limit() -> None:
    _, _, artery, vein = found()
    faint = weakened(artery, 0.05, diameter_mm=2.5)
    assert scaled_to_vein(faint, vein, LIMITS).quality.scaled_by == LIMITS.max_scale


def test_of_two_arteries_the_earlier_one_is_taken() -> None:
    """The later one lies behind the stenosis."""
    made = make_phantom(frame_times(1.5, 60.0, 3), noise_hu=2.0)
    frames = made.dynamic.frames.copy()
    times = made.dynamic.times_s[:, 0]
    geometry = made.dynamic.still(frames[0])
    world = geometry.to_world(np.moveaxis(np.indices(geometry.shape), 0, -1).astype(float))
    late = np.hypot(world[..., 0] - 22, world[..., 1] + 25) < 2.6
    frames[:, late] = 40 + np.round(artery_at(times - 4.0))[:, None]
    enhancement, brain = enhanced(replace(made, dynamic=replace(made.dynamic, frames=frames)))
    assert in_plane_mm(find_artery(enhancement, brain, LIMITS), made.artery_lps) < 4.0


def with_an_edge(curve_hu: np.ndarray) -> Phantom:
    """The phantom with a spot of 2 x 2 x 1 cm deep in the brain that changes as given (t,)."""
    made = phantom()
    frames = made.dynamic.frames.astype(np.float32)
    frames[:, 1, 60:72, 70:82] += curve_hu[:, None, None]
    return replace(made, dynamic=replace(made.dynamic, frames=frames))


def test_what_ends_below_its_baseline_is_no_artery() -> None:
    """Bone or CSF at an edge, in a head that moved during the bolus and did not come back."""
    times = phantom().dynamic.times_s[:, 0]
    edge = 300.0 * ((times > 8.0) & (times < 15.0)) - 25.0 * (times >= 15.0)
    enhancement, brain = enhanced(with_an_edge(edge))
    artery = find_artery(enhancement, brain, LIMITS)
    assert in_plane_mm(artery, phantom().artery_lps) < 4.0


def test_what_changes_when_the_head_moves_is_no_artery() -> None:
    times = phantom().dynamic.times_s[:, 0]
    edge = 250.0 * ((times > 9.0) & (times < 16.0))
    made = with_an_edge(edge)
    series = bin_series(made.dynamic, 0.8)
    brain = find_head(series.frames.mean(axis=0), series.spacing_mm, DEFAULTS.masks).brain
    jumps = np.diff(edge) != 0
    enhancement = enhancement_of(series, brain, 0.5, 3.0, LIMITS, jumps)
    artery = find_artery(enhancement, brain & enhancement.passing, LIMITS)
    assert in_plane_mm(artery, phantom().artery_lps) < 4.0
