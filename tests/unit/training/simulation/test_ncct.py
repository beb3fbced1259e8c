"""The simulated CT scan: repeatable, and its truth is what it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.training.labelled_head import anatomy, left_stroke
from willis_models.volume import SliceStack
from willis_training.simulation.ncct import SimulatedScan, ct_noise, paint, simulate
from willis_training.simulation.pathology import Mimics, Stroke
from willis_training.simulation.scanner import Scanner
from willis_training.simulation.tissue import draw_attenuation

SCANNER = Scanner(
    thickness_mm=3.0, field_of_view_mm=84.0, matrix=64, noise_hu=0.0, hardening_hu=0.0
)


def scan(scanner: Scanner = SCANNER, stroke: Stroke | None = None, seed: int = 5) -> SimulatedScan:
    return simulate(anatomy(), scanner, np.random.default_rng(seed), stroke)


def world(stack: SliceStack) -> np.ndarray:
    index = np.stack(np.meshgrid(*map(np.arange, stack.shape), indexing="ij"), axis=-1)
    return stack.to_world(index.astype(float))


def test_the_same_seed_gives_the_same_scan_and_another_seed_another() -> None:
    scanner = replace(SCANNER, noise_hu=3.0)

    first, second, other = scan(scanner), scan(scanner), scan(scanner, seed=6)

    np.testing.assert_array_equal(first.stack.voxels, second.stack.voxels)
    np.testing.assert_array_equal(first.stack.origins_lps, second.stack.origins_lps)
    np.testing.assert_array_equal(first.regions, second.regions)
    assert (
        first.stack.shape != other.stack.shape or (first.stack.voxels != other.stack.voxels).any()
    )


@pytest.mark.parametrize("tilt_deg", [-20.0, 0.0, 15.0])
def test_the_gantry_is_tilted_as_asked_and_slices_stay_as_thick(tilt_deg: float) -> None:
    found = scan(replace(SCANNER, tilt_deg=tilt_deg)).stack

    assert found.tilt_deg == pytest.approx(abs(tilt_deg), abs=1e-6)
    np.testing.assert_allclose(found.slice_steps_mm, 3.0)


@pytest.mark.parametrize(
    "scanner",
    [SCANNER, replace(SCANNER, tilt_deg=18.0), replace(SCANNER, roll_deg=10.0, yaw_deg=-8.0)],
    ids=["straight", "tilted", "turned"],
)
def test_the_true_regions_lie_in_the_brain_and_left_ones_on_patient_left(
    scanner: Scanner,
) -> None:
    found = scan(scanner)
    points = world(found.stack)

    assert set(np.unique(found.regions)) == set(range(21))
    inside = found.stack.voxels[found.regions > 0]
    assert ((inside > -20) & (inside < 120)).mean() > 0.9
    for n in range(1, 11):
        left, right = (points[found.regions == m].mean(axis=0) for m in (n, n + 10))
        assert left[0] > right[0] + 15.0


def test_regions_at_a_point_are_those_of_its_slice() -> None:
    found = scan(replace(SCANNER, tilt_deg=12.0, pitch_deg=5.0))
    agree = found.placement.regions_at(world(found.stack)) == found.regions

    assert agree.mean() > 0.995


def test_without_a_stroke_nothing_is_affected() -> None:
    found = scan()

    assert found.drop_hu == 0.0
    assert not found.affected.any()


def test_a_stroke_on_the_left_affects_the_left_regions_only() -> None:
    found = scan(stroke=left_stroke())

    assert found.affected[:10].all()
    assert not found.covered[10:].any()
    assert found.drop_hu == 6.0


def test_a_stroke_on_the_left_darkens_patient_left_by_its_drop() -> None:
    healthy, ill = scan(stroke=left_stroke(0.0)), scan(stroke=left_stroke(6.0))
    change = ill.stack.voxels.astype(float) - healthy.stack.voxels
    left = (healthy.regions >= 1) & (healthy.regions <= 10)

    assert change[left].mean() == pytest.approx(-4.6, abs=0.8)
    assert np.abs(change[healthy.regions > 10]).mean() < 0.1
    assert np.abs(change[world(healthy.stack)[..., 0] < -5.0]).mean() < 0.1


def painted(stroke: Stroke | None) -> np.ndarray:
    coarse = anatomy().coarse_labels.shape
    none = Mimics(*(np.zeros(coarse, dtype=np.float32) for _ in range(3)))
    rng = np.random.default_rng(2)
    return paint(anatomy(), draw_attenuation(rng), none, stroke, SCANNER, rng)


@pytest.mark.parametrize("drop_hu", [2.0, 8.0])
def test_the_drop_is_full_in_grey_matter_and_six_tenths_in_white(drop_hu: float) -> None:
    change = painted(None) - painted(left_stroke(drop_hu))
    labels = anatomy().labels
    deep = np.zeros(labels.shape, dtype=bool)
    deep[..., 54:] = True

    grey, white = change[deep & (labels == 3)].mean(), change[deep & (labels == 2)].mean()

    assert grey == pytest.approx(drop_hu, rel=0.15)
    assert white / grey == pytest.approx(0.6, abs=0.06)
    assert np.abs(change[..., :30]).max() < 1e-3
    assert np.abs(change[labels == 515]).max() < 1e-3


def test_swelling_closes_the_sulci_within_the_infarct() -> None:
    sulci = anatomy().labels == 24
    sulci[..., :54] = False

    calm, swollen = (painted(replace(left_stroke(), swelling=s)) for s in (0.0, 0.5))

    assert swollen[sulci].mean() > calm[sulci].mean() + 5.0


def test_the_noise_has_the_asked_standard_deviation() -> None:
    quiet, noisy = scan(), scan(replace(SCANNER, noise_hu=4.0))
    brain = quiet.regions > 0

    noise = noisy.stack.voxels[brain].astype(float) - quiet.stack.voxels[brain]

    assert noise.std() == pytest.approx(4.0, rel=0.06)
    assert noise.mean() == pytest.approx(0.0, abs=0.2)


def test_noise_of_a_scanner_has_no_offset_and_little_at_low_frequencies() -> None:
    noise = ct_noise((128, 128), 0.9, np.random.default_rng(0))
    power = np.abs(np.fft.rfft2(noise)) ** 2

    assert noise.std() == pytest.approx(1.0, abs=1e-5)
    assert power[:4, :4].mean() < 0.3 * power[14:40, 14:40].mean()


def test_thicker_slices_are_fewer_and_blur_along_the_normal() -> None:
    thin, thick = scan(replace(SCANNER, thickness_mm=1.5)), scan(replace(SCANNER, thickness_mm=6.0))

    assert thick.stack.shape[0] < thin.stack.shape[0] / 3
    np.testing.assert_allclose(thick.stack.slice_steps_mm, 6.0)


def test_beam_hardening_brightens_the_brain_near_the_skull() -> None:
    plain, hard = scan(), scan(replace(SCANNER, hardening_hu=5.0))
    change = hard.stack.voxels.astype(float) - plain.stack.voxels
    points = np.linalg.norm(world(plain.stack), axis=-1)

    assert change[(plain.regions > 0) & (points > 24)].mean() > 2.0
    assert change[points < 6].mean() < 1.0
