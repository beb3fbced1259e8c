"""Where contrast agent comes and goes, told from steps that a moving head leaves at edges."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.models.perfusion.block_phantom import artery_at, frame_times, vein_at
from willis_models.perfusion.binning import BinnedSeries, bin_series
from willis_models.perfusion.bolus import follows_head, passes
from willis_models.volume import DynamicStack

TIMES_S = frame_times(1.5, 60.0, 1)[:, 0]
NOISE_HU = 3.0


def series_of(*curves: np.ndarray) -> BinnedSeries:
    """One voxel for each curve, in a row."""
    noise = np.random.default_rng(0).normal(0.0, NOISE_HU, (len(TIMES_S), len(curves)))
    frames = (np.stack(curves, axis=1) + noise)[:, None, None, :].astype(np.float32)
    dynamic = DynamicStack(
        frames, TIMES_S[:, None], np.zeros((1, 3)), np.array([2.0, 0, 0]), np.array([0, 2.0, 0])
    )
    return bin_series(dynamic, 0.8)


def passing(curve: np.ndarray) -> bool:
    return bool(passes(series_of(curve, curve))[0, 0, 0])


def jerk(at_s: float, until_s: float = np.inf) -> np.ndarray:
    """The edge of bone, 250 HU higher while the head lies elsewhere."""
    return np.where((at_s <= TIMES_S) & (until_s > TIMES_S), 250.0, 0.0)


def test_an_artery_and_a_vein_pass() -> None:
    assert passing(artery_at(TIMES_S))
    assert passing(vein_at(TIMES_S))


@pytest.mark.parametrize(
    "curve",
    [jerk(30.0), jerk(45.0), 250.0 - jerk(20.0), jerk(15.0, until_s=50.0)],
    ids=["half-way", "near the end", "from the first image on", "there and back"],
)
def test_the_edge_of_bone_of_a_head_that_moved_does_not(curve: np.ndarray) -> None:
    assert not passing(curve)


JUMPED = np.isin(np.arange(len(TIMES_S) - 1), (9, 15))
"""The head lay elsewhere from 15 s to 24 s, while the bolus passed."""


def elsewhere() -> np.ndarray:
    return jerk(14.0, until_s=23.0)


def test_what_rises_and_falls_when_the_head_moves_is_no_vessel() -> None:
    found = follows_head(
        series_of(elsewhere(), artery_at(TIMES_S), vein_at(TIMES_S), 0.0 * TIMES_S), JUMPED
    )
    assert list(found[0, 0]) == [True, False, False, False]
    assert passing(elsewhere())


def test_in_a_head_that_lies_still_or_never_does_nothing_follows_it() -> None:
    series = series_of(elsewhere(), artery_at(TIMES_S))
    for jumps in (np.zeros_like(JUMPED), np.ones_like(JUMPED)):
        assert not follows_head(series, jumps).any()
