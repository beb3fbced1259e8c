"""The five maps, slice by slice: smooth, deconvolve, read off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from willis_models.imaging.components import Mask
from willis_models.perfusion.binning import Smoother, bounding_box
from willis_models.perfusion.curves import Enhancement
from willis_models.perfusion.deconvolution import (
    least_truncated,
    oscillation_matrices,
    residue_matrix,
)
from willis_models.perfusion.parameters import DeconvolutionParameters
from willis_models.volume import Array, Floats

MAP_NAMES = ("cbf", "cbv", "mtt", "tmax", "ttp")
_CHUNK = 16384


@dataclass(frozen=True)
class PerfusionMaps:
    """Maps (z, y, x), float32, NaN outside the tissue; None where one is not at hand.

    ``cbf`` mL/100 g/min, ``cbv`` mL/100 g, ``mtt`` and ``tmax`` s, ``ttp`` s after the first image.
    """

    cbf: Array | None
    cbv: Array | None
    mtt: Array | None
    tmax: Array | None
    ttp: Array | None


@dataclass(frozen=True)
class Readings:
    """What is read from residues and curves of some voxels, each (voxels,)."""

    cbf: Array
    cbv: Array
    mtt: Array
    tmax: Array
    ttp: Array


class Deconvolver:
    """Turns samples of tissue into readings, for one artery. Sources and units: the formulas are
    those of Ostergaard 1996 and Wu 2003, in mL per 100 g through kappa / rho. ``sampled_s`` is the
    time between two images; 0 where the samples are on the common axis already."""

    def __init__(
        self,
        artery_hu: Floats,
        step_s: float,
        parameters: DeconvolutionParameters,
        sampled_s: float = 0.0,
    ) -> None:
        self._parameters = parameters
        self._step_s = step_s
        self._area = float(artery_hu.sum()) * step_s
        self._by_threshold: list[Array] = []
        if parameters.method == "osvd":
            matrices = oscillation_matrices(artery_hu, step_s, parameters.tail_s, sampled_s)
            self._by_threshold = [matrix.astype(np.float32) for matrix in matrices]
            rows = len(self._by_threshold[0])
        else:
            self._single = residue_matrix(artery_hu, step_s, parameters)
            rows = len(self._single)
        self._delays_s, self._kept = self._delays(rows, len(artery_hu))
        self._composed: dict[int, tuple[Floats, Array, Array]] = {}

    def _delays(self, rows: int, count: int) -> tuple[Floats, Array]:
        """Delay of each row, rising, and the rows in that order that are plausible delays."""
        index = np.arange(rows)
        delay = np.where(index < count, index, index - rows) * self._step_s
        low, high = self._parameters.earliest_s, self._parameters.latest_s
        order = np.argsort(delay, kind="stable")
        kept = order[(delay[order] >= low) & (delay[order] <= high)]
        return delay[kept], kept

    def read(self, samples: Array, rise: Floats) -> Readings:
        """Maps of samples (t, voxels) whose slice rises by the matrix (n, t)."""
        _, to_curve, to_residue = self._matrices(rise)
        parts = [
            self._read(samples[:, start : start + _CHUNK], to_curve, to_residue)
            for start in range(0, samples.shape[1], _CHUNK)
        ]
        return Readings(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def _matrices(self, rise: Floats) -> tuple[Floats, Array, Array]:
        """Curve (n, t) and residue (rows, t) of samples, both as one product each.

        The rise is kept with what was made of it: an identity is its own only while it lives.
        """
        if id(rise) not in self._composed:
            residue = np.zeros((0, rise.shape[1]))
            if not self._by_threshold:
                residue = self._single[self._kept] @ rise
            made = rise, rise.astype(np.float32), residue.astype(np.float32)
            self._composed[id(rise)] = made
        return self._composed[id(rise)]

    def _read(self, samples: Array, to_curve: Array, to_residue: Array) -> tuple[Array, ...]:
        curves = to_curve @ samples
        if self._by_threshold:
            limit = self._parameters.osvd_oscillation
            residue = least_truncated(curves, iter(self._by_threshold), limit)[self._kept]
        else:
            residue = to_residue @ samples
        scale = self._parameters.kappa / self._parameters.rho_g_ml
        where = residue.argmax(axis=0)
        peak = np.take_along_axis(residue, where[None], axis=0)[0]
        cbf = np.maximum(6000.0 * scale * peak, 0.0)
        area = curves.sum(axis=0) * self._step_s
        cbv = np.maximum(100.0 * scale * area / self._area, 0.0)
        longest = len(curves) * self._step_s
        mtt = np.minimum(60.0 * cbv / np.maximum(cbf, 1e-3), longest)
        tmax = np.maximum(self._delays_s[where], 0.0)
        ttp = curves.argmax(axis=0) * self._step_s
        return tuple(part.astype(np.float32) for part in (cbf, cbv, mtt, tmax, ttp))


def compute_maps(
    enhancement: Enhancement,
    artery_hu: Floats,
    tissue: Mask,
    smoothing_mm: float,
    parameters: DeconvolutionParameters,
) -> PerfusionMaps:
    """Maps on the binned pixels, from the series smoothed within the tissue of each slice."""
    series = enhancement.series
    sampled_s = float(np.median(np.diff(series.times_s, axis=0)))
    deconvolver = Deconvolver(artery_hu, enhancement.axis.step_s, parameters, sampled_s)
    maps = {name: np.full(tissue.shape, np.nan, np.float32) for name in MAP_NAMES}
    for z in np.flatnonzero(tissue.any(axis=(1, 2))):
        rows, columns = bounding_box(tissue[z])
        inside = tissue[z, rows, columns]
        smoother = Smoother.within(inside, smoothing_mm, series.pixel_mm)
        samples = smoother(series.frames[:, z, rows, columns])[:, inside]
        readings = deconvolver.read(samples, enhancement.rise[z])
        for name in MAP_NAMES:
            maps[name][z, rows, columns][inside] = getattr(readings, name)
    return PerfusionMaps(**maps)
