"""The chain from a raw series to maps."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from tests.unit.models.perfusion.block_phantom import (
    TISSUES,
    Phantom,
    frame_times,
    make_phantom,
)
from willis_models.errors import NoBolus, NoVessel, ScanTooShort
from willis_models.perfusion.measure import Perfusion, measure
from willis_models.perfusion.numbers import numbers_of
from willis_models.perfusion.parameters import DEFAULTS
from willis_models.volume import Array, DynamicStack


@cache
def phantom(kind: str = "even") -> Phantom:
    times = frame_times(1.5, 60.0, 4)
    if kind == "shuttle":
        times = frame_times(3.0, 60.0, 4)
        times = times + np.array([0.0, 0.0, 1.5, 1.5])
    if kind == "uneven":
        early, late = np.arange(0.0, 36.0, 1.5), np.arange(36.0, 61.0, 3.0)
        times = np.repeat(np.r_[early, late][:, None], 4, axis=1)
    if kind.startswith("two boluses"):
        return make_phantom(two_bolus_times(kind), noise_hu=2.0, second_s=SECOND_S[kind])
    return make_phantom(times, noise_hu=2.0)


SECOND_S = {"two boluses": 42.0, "two boluses far apart": 60.0, "two boluses and a pause": 150.0}


def two_bolus_times(kind: str) -> Array:
    """From before the first bolus until the second has passed, with the tube off between or not."""
    times = frame_times(1.5, SECOND_S[kind] + 45.0, 4)
    if kind.endswith("pause"):
        times = times[(times[:, 0] <= 60.0) | (times[:, 0] >= 150.0)]
    return times


@cache
def result(kind: str = "even") -> Perfusion:
    return measure(phantom(kind).dynamic, DEFAULTS)


def median(image: Array | None, where: Array) -> float:
    assert image is not None
    return float(np.median(image[where]))


def within(kind: str, name: str) -> Array:
    return np.asarray(phantom(kind).where(name) & result(kind).tissue)


def test_maps_lie_on_the_series_own_pixels_and_only_in_tissue() -> None:
    perfusion = result()
    shape = phantom().dynamic.frames.shape[1:]
    for image in vars(perfusion.maps).values():
        assert image.shape == shape
        assert image.dtype == np.float32
        assert np.array_equal(np.isfinite(image), perfusion.tissue)


@pytest.mark.parametrize("kind", ["even", "shuttle", "uneven"])
def test_tissue_classes_keep_their_order_of_flow_and_delay(kind: str) -> None:
    maps = result(kind).maps
    flow = [median(maps.cbf, within(kind, name)) for name in ("core", "penumbra", "white", "grey")]
    delay = [
        median(maps.tmax, within(kind, name)) for name in ("grey", "white", "penumbra", "core")
    ]
    assert (np.diff(flow) > 0).all()
    assert delay[0] < 4.0 and delay[1] < 4.0 and delay[2] > 6.0 and delay[3] > 9.0


@pytest.mark.parametrize("kind", ["even", "shuttle", "uneven"])
def test_blood_volume_is_near_the_truth(kind: str) -> None:
    for name in ("grey", "white", "core"):
        found = median(result(kind).maps.cbv, within(kind, name))
        assert found == pytest.approx(TISSUES[name].cbv, rel=0.15, abs=0.15)


def test_slices_scanned_half_an_interval_apart_read_the_same() -> None:
    """Taken for simultaneous, the halves of the slab would differ by 1.5 s in delay."""
    where, tmax = within("shuttle", "penumbra"), result("shuttle").maps.tmax
    assert tmax is not None
    early, late = (float(tmax[half][where[half]].mean()) for half in (slice(2), slice(2, 4)))
    assert abs(early - late) < 0.25


@pytest.mark.parametrize("kind", SECOND_S)
def test_maps_of_two_boluses_are_those_of_the_first_one(kind: str) -> None:
    """Within a tenth in flow and volume and one step in time, as with scans of other lengths."""
    one, two = result().maps, result(kind).maps
    for name in TISSUES:
        where = within("even", name) & within(kind, name)
        for key, share, step in (
            ("cbf", 0.1, 0.3),
            ("cbv", 0.1, 0.05),
            ("mtt", 0.15, 0.0),
            ("tmax", 0.0, 0.5),
            ("ttp", 0.0, 0.5),
        ):
            expected = median(getattr(one, key), where)
            found = median(getattr(two, key), where)
            assert found == pytest.approx(expected, rel=share, abs=step), (name, key)


@pytest.mark.parametrize("kind", SECOND_S)
def test_numbers_of_two_boluses_are_those_of_the_first_one(kind: str) -> None:
    one, two = (
        numbers_of(each.maps, each.tissue, each.still, DEFAULTS.numbers)[0]
        for each in (result(), result(kind))
    )
    assert two.core_ml == pytest.approx(one.core_ml, rel=0.1)
    assert two.hypoperfused_ml == pytest.approx(one.hypoperfused_ml, rel=0.05)
    assert two.side == one.side


@pytest.mark.parametrize("kind", SECOND_S)
def test_vessels_and_figures_of_two_boluses_are_those_of_the_first_one(kind: str) -> None:
    one, two = result(), result(kind)
    assert two.sampling.second_bolus_s == pytest.approx(11.0 + SECOND_S[kind], abs=2.0)
    assert two.aif.quality.peak_s == pytest.approx(one.aif.quality.peak_s, abs=0.5)
    assert two.vof.quality.peak_s == pytest.approx(one.vof.quality.peak_s, abs=1.0)
    assert two.aif.times_s[-1] < two.sampling.second_bolus_s
    assert two.sampling.longest_step_s == 1.5
    assert two.sampling.seconds_after_arrival >= 40.0
    assert len(two.motion.displacement_mm) == len(phantom(kind).dynamic.frames)


def test_one_bolus_has_no_second() -> None:
    assert result().sampling.second_bolus_s is None


def test_boluses_too_close_to_each_other_leave_too_short_a_scan() -> None:
    close = make_phantom(frame_times(1.5, 75.0, 2), second_s=25.0)
    sampling = measure(close.dynamic, DEFAULTS).sampling
    assert sampling.length_s == 75.0
    assert sampling.seconds_after_arrival == pytest.approx(25.0, abs=1.5)


def test_the_lesion_is_found_on_its_side_with_its_volume() -> None:
    perfusion = result()
    numbers, _ = numbers_of(perfusion.maps, perfusion.tissue, perfusion.still, DEFAULTS.numbers)
    voxel_ml = perfusion.still.voxel_ml[0]
    core = phantom().where("core").sum() * voxel_ml
    hypoperfused = core + phantom().where("penumbra").sum() * voxel_ml
    assert numbers.side == "left"
    assert numbers.core_ml == pytest.approx(core, rel=0.3)
    assert numbers.hypoperfused_ml == pytest.approx(hypoperfused, rel=0.15)


def test_csf_vessels_and_the_rim_are_no_tissue() -> None:
    made, perfusion = phantom(), result()
    outside = made.classes == 0
    assert (perfusion.tissue & outside).sum() < 0.01 * perfusion.tissue.sum()
    assert perfusion.brain[perfusion.tissue].all()


def test_what_was_done_is_told() -> None:
    perfusion = result()
    assert perfusion.noise.before_hu == pytest.approx(2.0, rel=0.1)
    assert perfusion.noise.after_hu < 0.5
    assert perfusion.noise.smoothing_mm > 1.0
    assert perfusion.motion.max_mm < 0.1
    sampling = perfusion.sampling
    assert sampling.median_step_s == 1.5
    assert sampling.length_s == 60.0
    assert sampling.seconds_after_arrival == pytest.approx(49.0, abs=1.5)
    assert 6 <= sampling.baseline_frames <= 8
    assert sampling.coverage_mm == 32.0


def test_the_longest_step_counts() -> None:
    assert result("uneven").sampling.longest_step_s == 3.0
    assert result("uneven").sampling.median_step_s == 1.5


def test_the_still_image_shows_the_head_before_the_contrast() -> None:
    still = result().still.voxels
    assert np.median(still[phantom().where("grey")]) == pytest.approx(37.0, abs=0.5)


def test_progress_is_told_step_by_step() -> None:
    heard: list[str] = []
    measure(phantom().dynamic, DEFAULTS, progress=heard.append)
    assert heard == ["motion", "noise", "vessels", "deconvolution"]


def test_an_artery_can_be_chosen_by_hand() -> None:
    by_hand = measure(
        phantom().dynamic,
        DEFAULTS,
        aif_lps=phantom().artery_lps,
        vof_lps=phantom().vein_lps,
    )
    assert by_hand.aif.quality.is_manual and by_hand.vof.quality.is_manual
    where = within("even", "grey")
    found, automatic = median(by_hand.maps.cbf, where), median(result().maps.cbf, where)
    assert found == pytest.approx(automatic, rel=0.1)


def test_a_chosen_place_without_a_vessel_is_refused() -> None:
    with pytest.raises(NoVessel):
        measure(phantom().dynamic, DEFAULTS, aif_lps=np.array([40.0, 0.0, 0.0]))


def test_a_series_without_contrast_is_refused() -> None:
    with pytest.raises(NoBolus):
        measure(
            make_phantom(frame_times(3.0, 45.0, 3), peak_hu=0.0, noise_hu=2.0).dynamic, DEFAULTS
        )


def test_a_handful_of_frames_is_refused() -> None:
    with pytest.raises(ScanTooShort):
        measure(make_phantom(frame_times(3.0, 6.0, 3)).dynamic, DEFAULTS)


def test_a_series_without_a_head_is_refused() -> None:
    dynamic = phantom().dynamic
    empty = replace(dynamic, frames=np.full_like(dynamic.frames, -1000))
    with pytest.raises(NoBolus):
        measure(empty, DEFAULTS)


def test_small_pixels_are_binned_and_the_maps_still_lie_on_them() -> None:
    fine = make_phantom(frame_times(3.0, 54.0, 2), pixels=320, noise_hu=3.0)
    perfusion = measure(fine.dynamic, DEFAULTS)
    assert perfusion.noise.binned_by == 2
    assert perfusion.maps.cbf is not None
    assert perfusion.maps.cbf.shape == (2, 320, 320)
    core = fine.where("core") & perfusion.tissue
    assert median(perfusion.maps.tmax, core) > 9.0


def test_frames_of_a_head_that_moved_are_put_back() -> None:
    dynamic = phantom().dynamic
    frames = dynamic.frames.copy()
    frames[20:] = np.roll(frames[20:], 3, axis=3)  # 5 mm
    perfusion = measure(replace(dynamic, frames=frames), DEFAULTS)
    assert perfusion.motion.max_mm == pytest.approx(3 * 220.0 / 128, abs=0.3)
    where = phantom().where("penumbra") | np.roll(phantom().where("penumbra"), 3, axis=2)
    assert perfusion.motion.corrected.any()
    assert median(perfusion.maps.tmax, where & perfusion.tissue) == pytest.approx(8.5, abs=1.0)


def test_the_frames_given_are_not_touched() -> None:
    frames = phantom().dynamic.frames.astype(np.float32)
    frames[10] = np.roll(frames[10], 4, axis=2)
    before = frames.copy()
    dynamic = phantom().dynamic
    measure(
        DynamicStack(
            frames,
            dynamic.times_s,
            dynamic.origins_lps,
            dynamic.row_step_lps,
            dynamic.column_step_lps,
        ),
        DEFAULTS,
    )
    assert np.array_equal(frames, before)
