"""Images that must not be scored: blood and metal."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.models.phantoms import ellipsoid, shipped_parameters
from tests.unit.models.pipelines.aspects.heads import GRID, healthy_head, painted
from willis_models.findings import QualityItem
from willis_models.imaging.resample import grid_points
from willis_models.pipelines.aspects.head import HeadInTemplate
from willis_models.pipelines.aspects.screening import haemorrhage_like_ml, screen

POINTS = grid_points(GRID)


def items(head: HeadInTemplate) -> dict[str, QualityItem]:
    return {item.code: item for item in screen(head, shipped_parameters().tissue)}


def blob(radius_mm: float, centre: tuple[float, float, float] = (10.0, 0.0, 0.0)) -> np.ndarray:
    return ellipsoid(POINTS, (radius_mm,) * 3, centre)


def test_a_healthy_head_passes_both_screens() -> None:
    found = items(healthy_head())

    assert {code: item.outcome for code, item in found.items()} == {
        "NO_HAEMORRHAGE_SUSPECTED": "pass",
        "NO_METAL": "pass",
    }


@pytest.mark.parametrize("hu", [70.0, 85.0])
def test_a_bulky_dense_clot_rejects(hu: float) -> None:
    item = items(painted(healthy_head(), blob(10.0), hu))["HAEMORRHAGE_SUSPECTED"]

    assert item.outcome == "reject"
    # Smoothing blunts its edge: somewhat less than the ball's own 4.2 mL.
    assert 2.0 < item.value < 4.2


def test_dense_spots_too_small_for_a_clot_do_not_reject() -> None:
    assert "NO_HAEMORRHAGE_SUSPECTED" in items(painted(healthy_head(), blob(4.0), 75.0))


def test_a_calcified_mass_of_the_same_size_does_not_reject() -> None:
    assert "NO_HAEMORRHAGE_SUSPECTED" in items(painted(healthy_head(), blob(10.0), 250.0))


def test_a_clot_beside_a_calcification_is_still_seen() -> None:
    head = painted(healthy_head(), blob(9.0, (14.0, -20.0, 0.0)), 250.0)

    assert "HAEMORRHAGE_SUSPECTED" in items(painted(head, blob(10.0, (-12.0, 18.0, 0.0)), 75.0))


def test_what_is_dense_at_the_skull_is_not_taken_for_a_clot() -> None:
    rim = np.zeros(GRID.shape, dtype=bool)
    rim[:, :, 1:3] = True

    limits = shipped_parameters().tissue

    assert haemorrhage_like_ml(painted(healthy_head(), rim, 80.0), limits) == 0.0


def test_a_small_clip_is_no_reason_to_reject() -> None:
    assert "NO_METAL" in items(painted(healthy_head(), blob(4.0), 3000.0))


def test_metal_within_the_brain_rejects() -> None:
    item = items(painted(healthy_head(), blob(12.0), 3000.0))["METAL"]

    assert item.outcome == "reject"
    assert item.value > shipped_parameters().tissue.metal_max_share
