"""What is brain, and what in it can be measured."""

from __future__ import annotations

import numpy as np
import pytest

from willis_models.perfusion.masks import find_csf, find_head
from willis_models.perfusion.parameters import DEFAULTS
from willis_models.volume import Array

SPACING_MM = (8.0, 1.5, 1.5)
SHAPE = (4, 160, 120)
Z, Y, X = np.meshgrid(
    np.arange(SHAPE[0]) * 8.0 - 12.0,
    np.arange(SHAPE[1]) * 1.5 - 135.0,
    np.arange(SHAPE[2]) * 1.5 - 90.0,
    indexing="ij",
)
RADIUS = np.sqrt((X / 66) ** 2 + (Y / 82) ** 2)
MASKS = DEFAULTS.masks


def head(offset_hu: float = 0.0) -> Array:
    """A slab through a skull: brain, a ventricle of 8 HU, scalp and air."""
    still = np.full(SHAPE, -1000.0)
    still[RADIUS < 1.22] = 50.0
    still[RADIUS < 1.12] = 1100.0
    still[RADIUS < 1] = 34.0
    still[(np.abs(X) < 8) & (np.abs(Y) < 20)] = 8.0
    return still + offset_hu


EYE = (np.hypot(X - 32, Y + 102) < 11) & (Z < 0)
GAP = (np.abs(X - 32) < 4) & (Y < -68) & (Y > -90)


def with_eye(still: Array) -> Array:
    """An orbit before the brain, its roof above, open to the front: an eye, fat, and a gap in the
    bone behind through which both hang together with the brain."""
    below = Z < 0
    walls = (np.abs(X - 32) < 24) & (Y < -78) & (Y > -120) & (RADIUS > 1)
    still[walls] = 1100.0
    still[walls & below & (np.abs(X - 32) < 19) & (RADIUS > 1.12)] = -80.0
    still[EYE] = 25.0
    still[GAP & below] = 30.0
    return still


def test_the_brain_is_what_the_skull_encloses() -> None:
    brain = find_head(head(), SPACING_MM, MASKS).brain
    assert (brain & (RADIUS > 1.02)).sum() == 0
    assert (brain & (RADIUS < 0.95)).sum() == (RADIUS < 0.95).sum()


def test_a_slab_without_base_or_vertex_is_enough() -> None:
    one = find_head(head()[1:3], SPACING_MM, MASKS).brain
    assert one.any(axis=(1, 2)).all()


def test_the_rim_along_the_bone_is_told_apart() -> None:
    found = find_head(head(), SPACING_MM, MASKS)
    depth_mm = (1.0 - RADIUS) * 66
    assert found.bone_edge.any()
    assert not found.inner[(depth_mm < 1.5) & (np.abs(Y) < 5)].any()
    assert found.inner[depth_mm > 8].all()


def test_an_eye_is_no_brain() -> None:
    brain = find_head(with_eye(head()), SPACING_MM, MASKS).brain
    assert not (brain & EYE).any()
    assert brain[RADIUS < 0.85].all()


def test_a_gap_in_the_skull_costs_no_brain_behind_it() -> None:
    still = head()
    still[GAP] = 30.0
    assert find_head(still, SPACING_MM, MASKS).brain[RADIUS < 0.85].all()


def test_without_a_skull_there_is_no_brain() -> None:
    still = np.where(RADIUS < 1, 34.0, -1000.0)
    assert not find_head(still, SPACING_MM, MASKS).brain.any()


@pytest.mark.parametrize("offset_hu", [-8.0, 0.0, 8.0])
def test_csf_is_found_on_scanners_of_any_offset(offset_hu: float) -> None:
    still = head(offset_hu)
    found = find_csf(still, find_head(still, SPACING_MM, MASKS), SPACING_MM, MASKS)
    inside = (np.abs(X) < 6) & (np.abs(Y) < 17)
    away = (np.abs(X) > 11) | (np.abs(Y) > 23)
    assert found[inside].all()
    assert not found[away].any()


def test_an_early_infarct_is_not_csf() -> None:
    still = head()
    infarct = (X > 20) & (np.abs(Y) < 30) & (RADIUS < 0.9)
    still[infarct] -= 9.0
    found = find_csf(still, find_head(still, SPACING_MM, MASKS), SPACING_MM, MASKS)
    assert not (found & infarct).any()
