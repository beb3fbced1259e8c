"""Territories and lesions come from MNI space into the head on their own side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.unit.training.labelled_head import anatomy
from willis_models.volume import Volume
from willis_training.datasets.lesions import GRID, Lesion, LesionBank, collect
from willis_training.simulation.ctp.territory import (
    lesion_in,
    read_territories,
    suitable_lesions,
    territories_in,
)


def bank(x_lps: float = 24.0) -> LesionBank:
    """One ball of 20 mm radius at the middle cerebral artery's territory, MNI."""
    z, y, x = np.indices(GRID.shape)
    world = GRID.to_world(np.stack([z, y, x], axis=-1))
    mask = np.linalg.norm(world - np.array([x_lps, 0.0, 0.0]), axis=-1) < 20.0
    left = 1.0 if x_lps > 0 else 0.0
    return collect(iter([Lesion("ball", mask, 33.0, left, np.ones(20, np.float32))]))


def atlas() -> Volume:
    """Middle cerebral artery (4-6) everywhere but at the midline (1) and behind (8)."""
    z, y, x = np.indices(GRID.shape)
    world = GRID.to_world(np.stack([z, y, x], axis=-1))
    labels = np.where(np.abs(world[..., 0]) < 10, 1, np.where(world[..., 1] > 30, 8, 5))
    return Volume(labels.astype(np.uint8), GRID.affine_lps)


def world_of(mask: np.ndarray) -> np.ndarray:
    return anatomy().grid.to_world(np.argwhere(mask) * 2.0)


def test_territories_are_numbered_by_artery_and_side() -> None:
    found = territories_in(anatomy(), atlas())

    assert set(np.unique(found)) == {1, 2, 3, 4, 5, 6}
    for odd, even in ((1, 2), (3, 4), (5, 6)):
        assert (world_of(found == odd)[:, 0] >= 0).all()
        assert (world_of(found == even)[:, 0] <= 0).all()
    assert (world_of(found == 5)[:, 1] > 10).all()


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_lesion_lies_on_its_side_and_mirrored_on_the_other(mirrored: bool) -> None:
    found = lesion_in(anatomy(), bank(), 0, mirrored=mirrored)

    x_lps = world_of(found)[:, 0]
    assert found.sum() > 100
    assert ((x_lps < 0) if mirrored else (x_lps > 0)).mean() > 0.95
    assert not (found & ~anatomy().parenchyma).any()


def test_tiny_and_two_sided_lesions_make_no_perfusion_study() -> None:
    small = collect(iter([Lesion("tiny", np.ones((2, 2, 2), bool), 0.2, 1.0, np.zeros(20))]))
    middle = collect(iter([Lesion("both", np.ones((2, 2, 2), bool), 30.0, 0.5, np.zeros(20))]))

    for lesions in (small, middle):
        assert not suitable_lesions(lesions, "train") and not suitable_lesions(lesions, "test")
    either = suitable_lesions(bank(), "train") + suitable_lesions(bank(), "test")
    assert either == [0]


def test_a_missing_atlas_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="Tatu"):
        read_territories(tmp_path)
