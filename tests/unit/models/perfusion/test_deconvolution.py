"""Residues by four methods, and the mistakes that are known from elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.unit.models.perfusion.block_phantom import artery_at
from tests.unit.models.perfusion.osipi import REFERENCE, Case, read_cases
from willis_models.perfusion.deconvolution import (
    OSCILLATION_GRID,
    circulant_matrix,
    least_truncated,
    oscillation_index,
    oscillation_matrices,
    padding_matrix,
    residues,
    standard_matrix,
    truncated,
)
from willis_models.perfusion.parameters import DEFAULTS, DeconvolutionParameters, Method

STEP_S = 0.5
TIMES_S = np.arange(0.0, 60.0, STEP_S)
ARTERY = artery_at(TIMES_S)
METHODS: list[tuple[Method, float, int]] = [
    ("ssvd", 0.0, 0),
    ("csvd", 0.0, 1),
    ("osvd", 0.035, 2),
    ("osvd", 0.095, 3),
    ("tikhonov", 0.0, 4),
]


def published(method: Method, oscillation: float = 0.035) -> DeconvolutionParameters:
    """The method as it was published: zeros beyond the scan's end."""
    return DEFAULTS.deconvolution.model_copy(
        update={"method": method, "osvd_oscillation": oscillation, "tail_s": 0.0}
    )


def curve(residue: np.ndarray, artery: np.ndarray = ARTERY) -> np.ndarray:
    """The tissue curve of a residue (n,) in 1/s."""
    return np.convolve(artery, residue)[: len(artery)] * STEP_S


def exponential(flow: float, mtt_s: float, delay_s: float = 0.0) -> np.ndarray:
    return np.where(
        delay_s <= TIMES_S, flow * np.exp(-np.maximum(TIMES_S - delay_s, 0.0) / mtt_s), 0.0
    )


@pytest.fixture(scope="module")
def osipi_cases(shared: Path) -> list[Case]:
    path = shared / "reference" / "osipi_dsc" / "dsc_data.csv"
    if not path.is_file():
        pytest.skip(f"no digital reference curves at {path}")
    return read_cases(path)


def flow_of(case: Case, parameters: DeconvolutionParameters) -> float:
    # The curves are concentrations in mL: no haematocrit and no density.
    found = residues(case.tissue[:, None], case.artery, case.step_s, parameters)
    return float(6000.0 * found.max())


@pytest.mark.parametrize(("method", "oscillation", "column"), METHODS)
def test_the_digital_reference_curves_read_as_an_independent_implementation_does(
    osipi_cases: list[Case], method: Method, oscillation: float, column: int
) -> None:
    for case in osipi_cases:
        if (case.cbv, case.cbf) in REFERENCE:
            expected = REFERENCE[case.cbv, case.cbf][column]
            found = flow_of(case, published(method, oscillation))
            assert found == pytest.approx(expected, rel=0.10), (case.cbv, case.cbf)


@pytest.mark.parametrize(("method", "oscillation", "column"), METHODS)
def test_flow_rises_with_true_flow(
    osipi_cases: list[Case], method: Method, oscillation: float, column: int
) -> None:
    for volume in (2.0, 4.0):
        flows = [
            flow_of(case, published(method, oscillation))
            for case in osipi_cases
            if case.cbv == volume
        ]
        assert (np.diff(flows) > 0).all()


def test_the_chains_own_setting_reads_the_reference_curves_no_worse(
    osipi_cases: list[Case],
) -> None:
    for case in osipi_cases:
        plain = flow_of(case, published("csvd"))
        assert flow_of(case, DEFAULTS.deconvolution) == pytest.approx(plain, rel=0.10)


@pytest.mark.parametrize("method", ["csvd", "osvd", "tikhonov"])
def test_flow_does_not_depend_on_the_delay(osipi_cases: list[Case], method: Method) -> None:
    for case in osipi_cases[::3]:
        at_once = flow_of(case, published(method))
        for samples in range(1, 5):  # up to 5 s
            late = np.concatenate([np.zeros(samples), case.tissue[:-samples]])
            delayed = Case(case.cbv, case.cbf, late, case.artery, case.step_s)
            assert flow_of(delayed, published(method)) == pytest.approx(at_once, rel=0.05)


@pytest.mark.parametrize("method", ["csvd", "osvd", "tikhonov"])
def test_tissue_ahead_of_the_artery_has_the_same_flow(method: Method) -> None:
    tissue = curve(exponential(0.01, 4.0, delay_s=3.0))
    late_artery = artery_at(TIMES_S, arrival_s=12.0)
    ahead = curve(exponential(0.01, 4.0))
    behind_flow = residues(tissue[:, None], ARTERY, STEP_S, published(method)).max()
    ahead_flow = residues(ahead[:, None], late_artery, STEP_S, published(method)).max()
    assert ahead_flow == pytest.approx(behind_flow, rel=0.12)


def test_standard_deconvolution_loses_flow_with_delay() -> None:
    """Why it is not the default."""
    flows = [
        residues(curve(exponential(0.01, 4.0, d))[:, None], ARTERY, STEP_S, published("ssvd")).max()
        for d in (0.0, 5.0)
    ]
    assert flows[1] < 0.8 * flows[0]


def test_the_fourier_filter_equals_the_decomposition_of_the_padded_circulant() -> None:
    n = len(ARTERY)
    padded = np.r_[ARTERY, np.zeros(n)]
    rows = np.arange(2 * n)
    circulant = padded[(rows[:, None] - rows[None, :]) % (2 * n)] * STEP_S
    u, s, vt = np.linalg.svd(circulant)
    kept = s > 0.1 * s[0]
    by_decomposition = (vt[kept].T / s[kept]) @ u[:, kept].T
    by_filter = circulant_matrix(ARTERY, STEP_S, truncated(0.1))
    assert np.allclose(by_filter, by_decomposition[:, :n], atol=1e-9)


def test_late_tissue_does_not_wrap_round_to_the_start() -> None:
    """An unpadded circulant takes the end of a late curve for the start of an early one."""
    tissue = curve(exponential(0.01, 12.0, delay_s=30.0))
    residue = residues(tissue[:, None], ARTERY, STEP_S, published("csvd"))[:, 0]
    assert len(residue) == 2 * len(TIMES_S)
    early = residue[: int(20 / STEP_S)]
    assert np.abs(early).max() < 0.35 * residue.max()
    assert residue.argmax() * STEP_S == pytest.approx(33.0, abs=2.5)


def test_the_residue_is_not_rectified() -> None:
    """Its absolute value would make flow of a curve that falls below its baseline."""
    tissue = -curve(exponential(0.01, 4.0, delay_s=2.0))
    residue = residues(tissue[:, None], ARTERY, STEP_S, published("csvd"))
    assert residue.max() < 0.5 * np.abs(residue).max()


def test_the_oscillation_index_is_that_of_wu() -> None:
    residue = np.array([0.0, 2.0, 1.0, 0.0, 0.0])[:, None]
    # second differences: -3, 0, 1
    assert oscillation_index(residue)[0] == pytest.approx(4.0 / 5.0 / 2.0)


def test_a_residue_without_a_positive_peak_oscillates_beyond_any_limit() -> None:
    assert np.isinf(oscillation_index(-np.ones((5, 1))))[0]


def test_osvd_truncates_as_little_as_the_limit_allows() -> None:
    """Not the threshold of the lowest index: that one is the highest, and flow is lost to it."""
    draw = np.random.default_rng(3)
    tissue = curve(exponential(0.01, 4.0)) + 0.2 * draw.standard_normal(len(TIMES_S))
    every = [m @ tissue[:, None] for m in oscillation_matrices(ARTERY, STEP_S)]
    indices = np.array([oscillation_index(residue)[0] for residue in every])
    first = int(np.flatnonzero(indices < 0.035)[0])
    found = residues(tissue[:, None], ARTERY, STEP_S, published("osvd"))
    assert np.allclose(found, every[first], rtol=1e-4, atol=1e-6)
    assert indices.argmin() > first
    assert found.max() > 1.1 * every[int(indices.argmin())].max()


def test_each_voxel_has_its_own_threshold() -> None:
    quiet = curve(exponential(0.01, 4.0))
    noisy = quiet + np.random.default_rng(0).standard_normal(len(TIMES_S))
    both = residues(np.stack([quiet, noisy], axis=1), ARTERY, STEP_S, published("osvd"))
    for column, alone in enumerate((quiet, noisy)):
        expected = residues(alone[:, None], ARTERY, STEP_S, published("osvd"))[:, 0]
        assert np.allclose(both[:, column], expected, rtol=1e-4, atol=1e-6)


def test_where_no_threshold_is_smooth_enough_the_highest_serves() -> None:
    curves = np.random.default_rng(1).standard_normal((len(TIMES_S), 2)).astype(np.float32)
    matrices = [m.astype(np.float32) for m in oscillation_matrices(ARTERY, STEP_S)]
    assert len(matrices) == len(OSCILLATION_GRID)
    assert np.allclose(least_truncated(curves, iter(matrices), 0.0), matrices[-1] @ curves)


def test_a_standard_matrix_without_truncation_undoes_the_convolution() -> None:
    artery = np.array([3.0, 2.0, 1.0, 0.5])
    residue = np.array([0.4, 0.3, 0.2, 0.1])
    tissue = np.convolve(artery, residue)[:4] * STEP_S
    assert np.allclose(standard_matrix(artery, STEP_S, 0.0) @ tissue, residue)


def test_the_fade_beyond_the_scan_starts_from_the_last_samples_and_ends_at_zero() -> None:
    padded = padding_matrix(100, STEP_S, 10.0) @ np.full(100, 7.0)
    assert np.allclose(padded[:100], 7.0)
    assert padded[100] == pytest.approx(7.0 * np.exp(-0.05) * 0.99)
    assert padded[-1] == 0.0
    assert (np.diff(padded[100:]) < 0).all()


def test_without_a_tail_the_padding_is_zero() -> None:
    padded = padding_matrix(50, STEP_S, 0.0) @ np.ones(50)
    assert padded[50:].max() == 0.0


@pytest.mark.parametrize("method", ["csvd", "osvd"])
def test_a_fading_tail_keeps_flow_free_of_delay_when_the_scan_ends_in_recirculation(
    method: Method,
) -> None:
    faded = published(method).model_copy(update={"tail_s": 10.0})
    curves = np.stack([curve(exponential(0.003, 11.0, d)) for d in np.arange(0.0, 5.5, 0.5)], 1)
    with_tail = residues(curves, ARTERY, STEP_S, faded).max(axis=0)
    assert np.ptp(with_tail) / with_tail[0] < 0.05
    without = residues(curves, ARTERY, STEP_S, published(method)).max(axis=0)
    assert np.ptp(without) > 2 * np.ptp(with_tail)
