"""Time curves of contrast: the bolus in an artery, and what tissue and veins make of it.

Curves lie on a fine clock of `STEP_S`; enhancement in HU.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import special

from willis_training.simulation.ctp.parameters import draw, value

Floats = NDArray[np.float64]

STEP_S = 0.1
TISSUE_FACTOR = value("density_g_ml") / value("haematocrit_factor") / 6000.0
"""rho / kappa, and mL/100g/min to mL/mL/s."""

_MTTS_S = np.geomspace(1.0, 40.0, 24)
_DELAYS_S = np.arange(0.0, 20.1, 0.5)
_GAMMA_SHAPE = 3.0


@dataclass(frozen=True)
class Bolus:
    """Contrast in a large artery: (t-t0)^a exp(-(t-t0)/b), and the slower return of it."""

    arrival_s: float
    scale_s: float
    peak_hu: float
    recirculation: float
    recirculation_delay_s: float
    injections_s: tuple[float, ...] = (0.0,)

    def curve(self, times_s: Floats) -> Floats:
        """Enhancement (n,) on a fine clock that starts at 0."""
        one_pass = _first_pass(times_s - self.arrival_s, self.scale_s)
        fade = np.exp(-times_s / value("recirculation_decay_s"))
        late = _shift(_convolve(one_pass, fade), self.recirculation_delay_s)
        once = one_pass + self.recirculation * late / max(float(late.max()), 1e-9)
        return self.peak_hu * sum((_shift(once, s) for s in self.injections_s), 0.0 * once)


def draw_bolus(rng: np.random.Generator, *, twice: bool = False) -> Bolus:
    """One injection, or two."""
    return Bolus(
        arrival_s=draw("arrival_s", rng),
        scale_s=draw("aif_scale_s", rng),
        peak_hu=draw("aif_peak_hu", rng),
        recirculation=draw("recirculation", rng),
        recirculation_delay_s=draw("recirculation_delay_s", rng),
        injections_s=(0.0, value("second_bolus_s")) if twice else (0.0,),
    )


@dataclass(frozen=True)
class ResidueMix:
    """Shares of an exponential, a box and a gamma-distributed transit; they sum to 1."""

    exponential: float
    box: float
    gamma: float

    def residue(self, mtt_s: float, times_s: Floats) -> Floats:
        """R(t) (n,): 1 at first, its integral the mean transit time."""
        exponential = np.exp(-times_s / mtt_s)
        box = np.clip((mtt_s - times_s) / STEP_S + 0.5, 0.0, 1.0)
        gamma = special.gammaincc(_GAMMA_SHAPE, times_s * _GAMMA_SHAPE / mtt_s)
        return np.asarray(self.exponential * exponential + self.box * box + self.gamma * gamma)


def draw_residues(rng: np.random.Generator) -> ResidueMix:
    """A mix in which any of the three may lead."""
    shares = rng.dirichlet((2.0, 1.0, 2.0))
    return ResidueMix(*map(float, shares))


@dataclass(frozen=True)
class CurveTable:
    """Enhancement over mean transit time, delay and time: for tissue per unit of flow.

    ``curves`` (m, d, n) on the fine clock. For vessels m is 1.
    """

    curves: NDArray[np.float32]

    def at(self, times_s: Floats) -> NDArray[np.float32]:
        """The table at some times (F,): (m, d, F)."""
        where = np.clip(times_s / STEP_S, 0, self.curves.shape[2] - 1.001)
        low = where.astype(int)
        weight = (where - low).astype(np.float32)
        found = self.curves[..., low] * (1 - weight) + self.curves[..., low + 1] * weight
        return np.asarray(found)


@dataclass(frozen=True)
class Contrast:
    """What flows through one head in one scan."""

    bolus: Bolus
    grey: ResidueMix
    white: ResidueMix
    dispersion_share: float
    venous_transit_s: float
    duration_s: float

    @cached_property
    def clock_s(self) -> Floats:
        """The fine clock."""
        return np.arange(0.0, self.duration_s + 1.0, STEP_S, dtype=np.float64)

    @cached_property
    def arterial(self) -> CurveTable:
        """Arteries (1, d, n): the bolus, later and wider with delay."""
        return CurveTable(self._delayed(self.bolus.curve(self.clock_s)[None]))

    @cached_property
    def venous(self) -> NDArray[np.float32]:
        """The curve of a sinus (n,)."""
        shape, scale = _GAMMA_SHAPE, self.venous_transit_s / _GAMMA_SHAPE
        t = self.clock_s
        density = t ** (shape - 1) * np.exp(-t / scale) / (special.gamma(shape) * scale**shape)
        return _convolve(self.bolus.curve(t), density * STEP_S).astype(np.float32)

    def tissue(self, mix: ResidueMix) -> CurveTable:
        """Tissue (m, d, n) for a CBF of 1 mL/100g/min: rho/kappa CBF (Ca * R)(t - delay)."""
        arterial = self.bolus.curve(self.clock_s)
        residues = np.stack([mix.residue(mtt, self.clock_s) for mtt in _MTTS_S])
        held = _convolve(arterial[None], residues) * STEP_S * TISSUE_FACTOR
        return CurveTable(self._delayed(held))

    def _delayed(self, curves: Floats) -> NDArray[np.float32]:
        """(m, n) to (m, d, n): shifted, and convolved with an exponential of unit area."""
        found = np.empty((len(curves), len(_DELAYS_S), curves.shape[1]), np.float32)
        for d, delay in enumerate(_DELAYS_S):
            wide = self.dispersion_share * delay
            spread = curves
            if wide > STEP_S:
                kernel = np.exp(-self.clock_s / wide)
                spread = _convolve(curves, kernel[None] / kernel.sum())
            found[:, d] = np.stack([_shift(one, float(delay)) for one in spread])
        return found


def draw_contrast(rng: np.random.Generator, duration_s: float, bolus: Bolus) -> Contrast:
    """Residues, dispersion and venous transit of one patient."""
    return Contrast(
        bolus=bolus,
        grey=draw_residues(rng),
        white=draw_residues(rng),
        dispersion_share=draw("dispersion_share", rng),
        venous_transit_s=draw("venous_transit_s", rng),
        duration_s=duration_s,
    )


def look_up(
    table: NDArray[np.float32], delay_s: NDArray[np.float32], mtt_s: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """Curves (voxels, F) of a table (m, d, F), linear in delay and in the logarithm of MTT."""
    d, wd = _place(delay_s / (_DELAYS_S[1] - _DELAYS_S[0]), len(_DELAYS_S))
    if mtt_s is None:
        return _mix(table[0], d, wd)
    step = np.log(_MTTS_S[1] / _MTTS_S[0])
    m, wm = _place(np.log(np.maximum(mtt_s, 1e-3) / _MTTS_S[0]) / step, len(_MTTS_S))
    flat = table.reshape(-1, table.shape[2])
    low = _mix(flat, m * len(_DELAYS_S) + d, wd)
    high = _mix(flat, (m + 1) * len(_DELAYS_S) + d, wd)
    return np.asarray(low + wm[:, None] * (high - low))


def _mix(
    rows: NDArray[np.float32], first: NDArray[np.int64], weight: NDArray[np.float32]
) -> NDArray[np.float32]:
    low = rows[first]
    return np.asarray(low + weight[:, None] * (rows[first + 1] - low))


def _place(where: NDArray[np.float32], count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    clipped = np.clip(where, 0.0, count - 1.001)
    low = clipped.astype(np.int64)
    return low, (clipped - low).astype(np.float32)


def _first_pass(since_s: Floats, scale_s: float) -> Floats:
    """The gamma variate with a peak of 1."""
    power = value("aif_power")
    x = np.maximum(since_s, 0.0) / (power * scale_s)
    return np.asarray(x**power * np.exp(power * (1.0 - x)))


def _shift(curve: Floats, by_s: float) -> Floats:
    """Later by a while; what has not come yet is zero."""
    clock = np.arange(len(curve)) * STEP_S
    return np.asarray(np.interp(clock - by_s, clock, curve, left=0.0))


def _convolve(one: Floats, other: Floats) -> Floats:
    """Causal convolution along the last axis, cut to its length (a sum, not an integral)."""
    length = one.shape[-1]
    spectrum = np.fft.rfft(one, 2 * length) * np.fft.rfft(other, 2 * length)
    return np.asarray(np.fft.irfft(spectrum, 2 * length)[..., :length])
