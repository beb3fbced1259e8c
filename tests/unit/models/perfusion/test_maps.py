"""Units and formulas of the five maps."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.models.perfusion.block_phantom import Tissue, artery_at, tissue_at
from willis_models.perfusion.maps import Deconvolver, Readings
from willis_models.perfusion.parameters import DEFAULTS, DeconvolutionParameters
from willis_models.perfusion.sampling import Axis, rise_matrix
from willis_models.volume import Array

PARAMETERS = DEFAULTS.deconvolution
TIMES_S = np.arange(0.0, 66.1, 1.5)
GREY = Tissue(53.0, 3.3, 1.0, 37.0)


def read(
    curves: Array,
    times_s: Array = TIMES_S,
    parameters: DeconvolutionParameters = PARAMETERS,
    artery: Array | None = None,
) -> Readings:
    """Readings of tissue curves (t, voxels)."""
    axis = Axis.over(times_s[:, None], parameters.step_s)
    rise = rise_matrix(times_s, 9.5, axis)
    hu = rise @ (artery_at(times_s) if artery is None else artery)
    sampled_s = float(np.median(np.diff(times_s)))
    deconvolver = Deconvolver(hu, parameters.step_s, parameters, sampled_s)
    return deconvolver.read(curves.astype(np.float32), rise)


def curves_of(*tissues: Tissue, times_s: Array = TIMES_S) -> Array:
    return np.stack([30.0 + tissue_at(tissue, times_s) for tissue in tissues], axis=1)


def test_blood_volume_is_read_in_ml_per_100_g() -> None:
    tissues = [Tissue(53.0, volume, 1.0, 37.0) for volume in (1.0, 2.0, 4.0)]
    assert np.allclose(read(curves_of(*tissues)).cbv, [1.0, 2.0, 4.0], rtol=0.06)


@pytest.mark.parametrize("step_s", [0.75, 1.5, 3.0])
def test_blood_volume_does_not_depend_on_the_sampling(step_s: float) -> None:
    """As it does where the interval is left out of one of the two integrals."""
    times = np.arange(0.0, 66.1, step_s)
    volume = read(curves_of(GREY, times_s=times), times).cbv[0]
    assert volume == pytest.approx(3.3, rel=0.06)


def test_an_interval_that_doubles_on_the_way_changes_no_volume() -> None:
    times = np.r_[np.arange(0.0, 36.0, 1.5), np.arange(36.0, 67.0, 3.0)]
    assert read(curves_of(GREY, times_s=times), times).cbv[0] == pytest.approx(3.3, rel=0.06)


@pytest.mark.parametrize("method", ["csvd", "osvd"])
@pytest.mark.parametrize("step_s", [1.0, 1.5, 3.0])
@pytest.mark.parametrize("cbf, cbv", [(53.0, 3.3), (25.0, 1.9), (16.0, 3.0)])
def test_flow_varies_by_less_than_five_percent_over_delays_of_five_seconds(
    method: str, step_s: float, cbf: float, cbv: float
) -> None:
    times = np.arange(0.0, 60.1, step_s)
    late = [Tissue(cbf, cbv, delay_s, 37.0) for delay_s in np.arange(0.0, 5.01, 0.5)]
    parameters = PARAMETERS.model_copy(update={"method": method})
    found = read(curves_of(*late, times_s=times), times, parameters).cbf
    assert np.ptp(found) < 0.05 * found[0]


def test_flow_rises_with_true_flow() -> None:
    tissues = [Tissue(flow, 3.0, 1.0, 37.0) for flow in (5.0, 10.0, 20.0, 40.0, 60.0)]
    assert (np.diff(read(curves_of(*tissues)).cbf) > 0).all()


def test_the_haematocrit_scales_flow_and_volume_alike() -> None:
    """On one of the two alone it would change the transit time, which it can't."""
    other = PARAMETERS.model_copy(update={"kappa": 1.46})
    one, two = read(curves_of(GREY)), read(curves_of(GREY), parameters=other)
    assert two.cbf[0] == pytest.approx(2 * one.cbf[0], rel=1e-5)
    assert two.cbv[0] == pytest.approx(2 * one.cbv[0], rel=1e-5)
    assert two.mtt[0] == pytest.approx(one.mtt[0], rel=1e-5)


def test_transit_time_is_volume_over_flow_in_seconds() -> None:
    found = read(curves_of(GREY, Tissue(16.0, 3.0, 5.0, 36.0)))
    assert np.allclose(found.mtt, 60.0 * found.cbv / found.cbf)


@pytest.mark.parametrize("method", ["csvd", "osvd", "tikhonov"])
def test_flow_stays_within_five_percent_for_delays_up_to_five_seconds(method: str) -> None:
    parameters = PARAMETERS.model_copy(update={"method": method})
    for tissue in (GREY, Tissue(25.0, 1.9, 0.0, 29.0), Tissue(16.0, 3.0, 0.0, 36.0)):
        delayed = [Tissue(tissue.cbf, tissue.cbv, d, 0.0) for d in np.arange(0.0, 5.1, 0.25)]
        flow = read(curves_of(*delayed), parameters=parameters).cbf
        assert np.abs(flow / flow[0] - 1.0).max() < 0.05


def test_tmax_follows_the_delay_in_steps_of_half_a_second() -> None:
    delays = np.arange(0.0, 8.1, 0.5)
    tmax = read(curves_of(*(Tissue(53.0, 3.3, d, 37.0) for d in delays))).tmax
    assert np.abs((tmax - tmax[0]) - delays).max() <= 0.5
    assert 0.5 <= tmax[0] <= 3.5
    assert len(np.unique(tmax)) > len(delays) // 2


def test_tmax_is_the_residues_peak_and_not_the_arrival() -> None:
    """With dispersed arrival the residue rises slowly: both curves arrive together."""
    fine = np.arange(0.0, 70.0, 0.1)
    sharp = np.exp(-fine / 4.0)
    slow = np.convolve(sharp, np.exp(-fine / 4.0))[: len(fine)]
    inflow = artery_at(fine)
    curves = [np.convolve(inflow, r / r.sum())[: len(fine)] * 0.04 for r in (sharp, slow)]
    samples = np.stack([30.0 + np.interp(TIMES_S, fine, c) for c in curves], axis=1)
    tmax = read(samples).tmax
    assert tmax[1] >= tmax[0] + 1.5


def test_ttp_is_the_time_of_the_curves_peak() -> None:
    found = read(curves_of(GREY, Tissue(16.0, 3.0, 6.0, 36.0)))
    fine = np.arange(0.0, 66.0, 0.1)
    for ttp, tissue in zip(found.ttp, (GREY, Tissue(16.0, 3.0, 6.0, 36.0)), strict=True):
        assert ttp == pytest.approx(fine[tissue_at(tissue, fine).argmax()], abs=0.8)


def test_a_curve_that_never_rises_has_no_flow_and_finite_maps() -> None:
    found = read(np.full((len(TIMES_S), 1), 30.0))
    assert found.cbf[0] == pytest.approx(0.0, abs=1e-3)
    assert found.cbv[0] == pytest.approx(0.0, abs=1e-3)
    assert all(np.isfinite(getattr(found, n)).all() for n in ("cbf", "cbv", "mtt", "tmax", "ttp"))


def test_a_curve_that_falls_has_no_volume_rather_than_a_negative_one() -> None:
    assert read(60.0 - curves_of(GREY)).cbv[0] == 0.0


def test_twice_the_artery_means_half_the_flow() -> None:
    curves = curves_of(GREY)
    one, two = read(curves), read(curves, artery=2 * artery_at(TIMES_S))
    assert two.cbf[0] == pytest.approx(one.cbf[0] / 2, rel=1e-4)
    assert two.tmax[0] == one.tmax[0]


def test_many_voxels_read_as_each_alone() -> None:
    flows = np.random.default_rng(0).uniform(5.0, 60.0, 50)
    curves = np.repeat(curves_of(*(Tissue(f, 3.0, 2.0, 0.0) for f in flows)), 400, axis=1)
    together = read(curves)
    assert np.allclose(together.cbf[::400], read(curves[:, ::400]).cbf, rtol=1e-4)
