"""What contrast adds to a voxel follows its share of tissue and vessels, and their state."""

from __future__ import annotations

from dataclasses import fields
from functools import cache

import numpy as np
import pytest

from willis_training.simulation.ctp.curves import Bolus, Contrast, ResidueMix
from willis_training.simulation.ctp.enhancement import Painter, by_severity, tissue_state
from willis_training.simulation.ctp.parameters import value
from willis_training.simulation.ctp.scene import SliceView
from willis_training.simulation.ctp.truth import true_maps

TIMES_S = np.arange(0.0, 50.0, 0.5)
MIX = ResidueMix(1.0, 0.0, 0.0)


def one_voxel(**content: float) -> SliceView:
    """A slice of one voxel; what is not named is 0."""
    zero = {field.name: 0.0 for field in fields(SliceView)}
    return SliceView(**{k: np.full((1, 1), v, np.float32) for k, v in (zero | content).items()})


@cache
def painter() -> Painter:
    return Painter(Contrast(Bolus(8.0, 1.5, 300.0, 0.0, 10.0), MIX, MIX, 0.0, 5.0, 60.0))


def curve(**content: float) -> np.ndarray:
    return painter().enhancement(one_voxel(**content), TIMES_S)[:, 0, 0]


def test_air_and_water_are_not_enhanced() -> None:
    assert not curve(hu=10.0).any()


def test_an_artery_fills_by_its_share_of_the_voxel() -> None:
    assert curve(artery=1.0).max() == pytest.approx(300.0, rel=0.02)
    np.testing.assert_allclose(curve(artery=0.5), 0.5 * curve(artery=1.0), rtol=1e-5)


def test_a_closed_trunk_fills_late_and_hardly_at_all() -> None:
    opened, closed = curve(artery=1.0), curve(closed_trunk=1.0)

    assert closed.max() == pytest.approx(value("closed_flow") * opened.max(), rel=0.02)
    later_s = TIMES_S[closed.argmax()] - TIMES_S[opened.argmax()]
    assert later_s == pytest.approx(value("closed_delay_s"), abs=0.5)


def test_tissue_in_each_state_has_the_flow_volume_and_delay_of_the_table() -> None:
    for severity, state in enumerate(("normal", "reduced", "severe")):
        found = tissue_state(one_voxel(severity=float(severity)), "white")

        assert found.cbf.item() == pytest.approx(value(f"white_cbf_{state}"), rel=1e-5)
        assert found.cbv.item() == pytest.approx(value(f"white_cbv_{state}"), rel=1e-5)
        assert found.delay_s.item() == pytest.approx(value(f"white_delay_{state}"), rel=1e-5)
        assert found.mtt_s.item() == pytest.approx(60 * found.cbv.item() / found.cbf.item())


def test_between_two_states_a_parameter_is_interpolated() -> None:
    half = by_severity(np.array([0.5], np.float32), "artery_delay").item()

    assert half == (value("artery_delay_normal") + value("artery_delay_reduced")) / 2


def test_the_truth_of_a_mixed_voxel_adds_flow_and_volume() -> None:
    mixed, outside = true_maps(one_voxel(grey=0.5, white=0.3)), true_maps(one_voxel(grey=0.4))

    flow = 0.5 * value("grey_cbf_normal") + 0.3 * value("white_cbf_normal")
    assert mixed.cbf.item() == pytest.approx(flow, rel=1e-5)
    assert mixed.mtt.item() == pytest.approx(60 * mixed.cbv.item() / flow, rel=1e-5)
    assert mixed.brain.all() and not outside.brain.any() and not outside.cbf.any()
