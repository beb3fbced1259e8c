"""Brain extraction: what lies inside a skull is found, and only a plausible brain passes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.models.phantoms import (
    BRAIN_RADII_MM,
    CSF_MM,
    ellipsoid,
    head_hu,
    on_grid,
    rotation,
    shipped_parameters,
)
from willis_models.errors import BrainNotPlausible
from willis_models.imaging.brain import BrainLimits, check_plausible, extract_brain
from willis_models.imaging.resample import grid_points

SPACING_MM = 2.0


@pytest.fixture(scope="module")
def limits() -> BrainLimits:
    return shipped_parameters().brain.limits()


def intracranial(points: np.ndarray) -> np.ndarray:
    return ellipsoid(points, np.array(BRAIN_RADII_MM) + CSF_MM)


@pytest.mark.parametrize("roll_deg", [0.0, 15.0])
def test_the_brain_is_found_within_three_percent(limits: BrainLimits, roll_deg: float) -> None:
    turn = rotation(roll_deg=roll_deg, pitch_deg=10.0 if roll_deg else 0.0)
    volume = on_grid(lambda points: head_hu(points @ turn), SPACING_MM)
    points = grid_points(volume.grid) @ turn
    true = ellipsoid(points, BRAIN_RADII_MM)

    brain = extract_brain(volume, limits)

    assert brain.sum() == pytest.approx(true.sum(), rel=0.03)
    assert not (brain & ~intracranial(points)).any()


def test_scalp_is_left_out_and_the_falx_is_kept(limits: BrainLimits) -> None:
    volume = on_grid(head_hu, SPACING_MM)
    points = grid_points(volume.grid)
    falx = ellipsoid(points, (1.0, 40.0, 20.0), (0.0, 0.0, 40.0))

    brain = extract_brain(volume, limits)

    assert not (brain & ~intracranial(points)).any()
    assert brain[falx].all()


def test_noise_does_not_eat_holes_into_the_brain(limits: BrainLimits) -> None:
    clean = on_grid(head_hu, SPACING_MM)
    noise = np.random.default_rng(0).normal(0.0, 12.0, clean.voxels.shape)
    true = ellipsoid(grid_points(clean.grid), BRAIN_RADII_MM)

    brain = extract_brain(clean.with_voxels(clean.voxels + noise), limits)

    assert brain.sum() == pytest.approx(true.sum(), rel=0.04)


def test_soft_tissue_without_a_skull_is_no_brain(limits: BrainLimits) -> None:
    bare = on_grid(
        lambda points: np.where(ellipsoid(points, BRAIN_RADII_MM), 35.0, -1000.0), SPACING_MM
    )

    with pytest.raises(BrainNotPlausible, match="skull"):
        extract_brain(bare, limits)


def test_an_empty_scan_has_no_brain(limits: BrainLimits) -> None:
    empty = on_grid(lambda points: np.full(points.shape[:-1], -1024.0), 4.0)

    with pytest.raises(BrainNotPlausible, match="skull"):
        extract_brain(empty, limits)


def ball_mask(radii_mm: tuple[float, float, float]) -> np.ndarray:
    volume = on_grid(lambda points: ellipsoid(points, radii_mm), SPACING_MM)
    return volume.voxels.astype(bool)


def test_a_plausible_brain_passes_with_its_volume(limits: BrainLimits) -> None:
    volume_ml = check_plausible(ball_mask((66.0, 84.0, 66.0)), SPACING_MM, limits)

    assert volume_ml == pytest.approx(4 / 3 * np.pi * 66 * 84 * 66 / 1000, rel=0.01)


@pytest.mark.parametrize(
    ("radii_mm", "words"),
    [
        ((40.0, 60.0, 45.0), "holds 45. mL"),
        ((80.0, 95.0, 75.0), "holds 23.. mL"),
        ((70.0, 95.0, 38.0), "height of 7. mm is under 85"),
        ((75.0, 58.0, 70.0), "length of 11. mm is under 125"),
        ((48.0, 88.0, 68.0), "width of 9. mm is under 100"),
    ],
    ids=["too small", "too large", "too flat", "too short", "too narrow"],
)
def test_an_implausible_brain_is_refused_in_words(
    limits: BrainLimits, radii_mm: tuple[float, float, float], words: str
) -> None:
    with pytest.raises(BrainNotPlausible, match=words):
        check_plausible(ball_mask(radii_mm), SPACING_MM, limits)


def test_a_brain_in_pieces_is_refused(limits: BrainLimits) -> None:
    mask = ball_mask((66.0, 84.0, 66.0))
    mask[mask.shape[0] // 2 + 10] = False

    with pytest.raises(BrainNotPlausible, match="pieces"):
        check_plausible(mask, SPACING_MM, limits)


def test_the_limits_decide_what_is_plausible(limits: BrainLimits) -> None:
    small = ball_mask((52.0, 66.0, 50.0))
    generous = replace(limits, min_volume_ml=500.0)

    with pytest.raises(BrainNotPlausible):
        check_plausible(small, SPACING_MM, limits)
    assert check_plausible(small, SPACING_MM, generous) > 500.0
