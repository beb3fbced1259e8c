"""Curves obey conservation: what enters a tissue stays as long as its transit time says."""

from __future__ import annotations

import numpy as np
import pytest

from willis_training.simulation.ctp.curves import (
    STEP_S,
    Bolus,
    Contrast,
    ResidueMix,
    draw_bolus,
    draw_residues,
    look_up,
)
from willis_training.simulation.ctp.parameters import value

TIMES = np.arange(0.0, 200.0, STEP_S)
BOLUS = Bolus(
    arrival_s=10.0, scale_s=1.5, peak_hu=300.0, recirculation=0.18, recirculation_delay_s=10.0
)
MIXES = [ResidueMix(1, 0, 0), ResidueMix(0, 1, 0), ResidueMix(0, 0, 1), ResidueMix(0.5, 0.2, 0.3)]
MIX_NAMES = ["exponential", "box", "gamma", "mixed"]


def contrast(mix: ResidueMix = MIXES[0], dispersion: float = 0.0, bolus: Bolus = BOLUS) -> Contrast:
    return Contrast(bolus, mix, mix, dispersion, 5.0, 200.0)


def tissue_curve(chosen: Contrast, delay_s: float, mtt_s: float) -> np.ndarray:
    table = chosen.tissue(chosen.grey).at(TIMES)
    return look_up(table, np.float32([delay_s]), np.float32([mtt_s]))[0]


def test_the_bolus_peaks_at_its_height_three_time_constants_after_arrival() -> None:
    curve = BOLUS.curve(TIMES)

    assert curve.max() == pytest.approx(300.0, rel=1e-3)
    assert TIMES[curve.argmax()] == pytest.approx(10.0 + 3 * 1.5, abs=STEP_S)
    assert np.abs(curve[TIMES < 10.0]).max() < 1e-6


def test_the_bolus_comes_back_at_about_a_fifth_of_its_height() -> None:
    curve = BOLUS.curve(TIMES)

    late = curve[(TIMES > 30.0) & (TIMES < 60.0)].max() / curve.max()
    assert 0.12 < late < 0.22
    assert curve[-1] < curve[TIMES.searchsorted(60.0)]


def test_a_second_injection_makes_a_second_peak() -> None:
    rng = np.random.default_rng(1)
    bolus = draw_bolus(rng, twice=True)
    curve = bolus.curve(TIMES)

    second = curve[bolus.arrival_s + value("second_bolus_s") < TIMES]
    assert second.max() > 0.9 * bolus.peak_hu


@pytest.mark.parametrize("mix", MIXES, ids=MIX_NAMES)
@pytest.mark.parametrize("mtt_s", [2.0, 4.0, 12.0])
def test_a_residue_starts_at_one_never_rises_and_lasts_as_long_as_the_transit(
    mix: ResidueMix, mtt_s: float
) -> None:
    residue = mix.residue(mtt_s, TIMES)

    assert residue[0] == pytest.approx(1.0)
    assert (np.diff(residue) <= 1e-12).all()
    assert residue.sum() * STEP_S == pytest.approx(mtt_s, rel=0.03)


@pytest.mark.parametrize("mix", MIXES, ids=MIX_NAMES)
@pytest.mark.parametrize("delay_s", [0.0, 3.3])
@pytest.mark.parametrize("dispersion", [0.0, 0.4])
def test_the_area_under_tissue_over_that_of_the_artery_is_its_blood_volume(
    mix: ResidueMix, delay_s: float, dispersion: float
) -> None:
    once = Bolus(10.0, 1.5, 300.0, 0.0, 10.0)
    cbf, mtt_s = 53.0, 3.7
    curve = cbf * tissue_curve(contrast(mix, dispersion, once), delay_s, mtt_s)

    factor = value("haematocrit_factor") / value("density_g_ml")
    cbv = 100 * factor * curve.sum() / once.curve(TIMES).sum()
    assert cbv == pytest.approx(cbf * mtt_s / 60.0, rel=0.03)


def test_delay_moves_a_curve_and_changes_nothing_else() -> None:
    prompt, late = (tissue_curve(contrast(), d, 4.0) for d in (0.0, 5.0))

    shift = round(5.0 / STEP_S)
    np.testing.assert_allclose(late[shift:], prompt[:-shift], atol=1e-4 * prompt.max())


def test_dispersion_widens_a_delayed_curve_and_lowers_its_peak() -> None:
    plain, wide = (tissue_curve(contrast(dispersion=d), 6.0, 4.0) for d in (0.0, 0.4))

    assert wide.max() < 0.97 * plain.max()


def test_blood_in_the_vein_comes_later_and_is_as_much() -> None:
    once = Bolus(10.0, 1.5, 300.0, 0.0, 10.0)
    chosen = contrast(bolus=once)
    artery = once.curve(chosen.clock_s)

    assert chosen.venous.sum() == pytest.approx(artery.sum(), rel=0.02)
    assert chosen.venous.argmax() > artery.argmax() + 2.0 / STEP_S


def test_a_table_between_its_nodes_is_close_to_the_curve_itself() -> None:
    chosen = contrast(MIXES[3])
    mtt_s = 4.6
    residue = chosen.grey.residue(mtt_s, TIMES)
    exact = np.convolve(BOLUS.curve(TIMES), residue)[: len(TIMES)]

    found = tissue_curve(chosen, 0.0, mtt_s)
    exact *= found.max() / exact.max()
    assert np.abs(found - exact).max() < 0.03 * exact.max()


def test_residue_shares_sum_to_one() -> None:
    mix = draw_residues(np.random.default_rng(2))

    assert mix.exponential + mix.box + mix.gamma == pytest.approx(1.0)
