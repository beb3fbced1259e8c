"""Residue functions from an arterial curve and tissue curves, by four methods.

A tissue curve is the arterial curve convolved with the flow-scaled residue function; all methods
undo that by a linear map, so each is a matrix here, made once for an artery and applied to all
voxels by one product. Sources: Ostergaard 1996 (doi:10.1002/mrm.1910360510, sSVD), Wu 2003
(doi:10.1002/mrm.10522, cSVD and oSVD), Calamante 2003 (doi:10.1002/mrm.10526, Tikhonov).

A zero-padded circulant matrix is diagonal under the Fourier transform: its singular values are the
magnitudes of the spectrum, and truncating them is a filter. No decomposition is computed for it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.linalg import toeplitz

from willis_models.perfusion.parameters import DeconvolutionParameters
from willis_models.volume import Array, Floats

_TAIL_FROM_S = 3.0
_OF_NYQUIST = 0.8

OSCILLATION_GRID = np.r_[np.arange(0.01, 0.5, 0.01), np.arange(0.5, 1.0, 0.05)]


def residues(
    tissue: Array, artery: Array, step_s: float, parameters: DeconvolutionParameters
) -> Array:
    """Flow-scaled residue functions k, in 1/s, of tissue curves (n, voxels); float32.

    ``artery`` (n,) in the same unit and on the same axis of ``step_s``. The result has n rows for
    sSVD, delays 0 to n - 1; 2n rows for the other methods, whose second half holds the negative
    delays (row 2n - 1 is -1).
    """
    curves = np.ascontiguousarray(tissue, dtype=np.float32)
    if parameters.method == "osvd":
        every = oscillation_matrices(artery, step_s, parameters.tail_s)
        matrices = (matrix.astype(np.float32) for matrix in every)
        return least_truncated(curves, matrices, parameters.osvd_oscillation)
    return np.asarray(residue_matrix(artery, step_s, parameters).astype(np.float32) @ curves)


def residue_matrix(artery: Array, step_s: float, parameters: DeconvolutionParameters) -> Floats:
    """The matrix (rows, n) that takes tissue curves to residues; not for oSVD, whose depends on
    the voxel."""
    if parameters.method == "ssvd":
        return standard_matrix(artery, step_s, parameters.ssvd_threshold)
    if parameters.method == "csvd":
        inverse = truncated(parameters.csvd_threshold)
        return circulant_matrix(artery, step_s, inverse, parameters.tail_s)
    if parameters.method == "tikhonov":
        inverse = damped(parameters.tikhonov_threshold)
        return circulant_matrix(artery, step_s, inverse, parameters.tail_s)
    raise ValueError(f"{parameters.method} has no single matrix.")


def standard_matrix(artery: Array, step_s: float, threshold: float) -> Floats:
    """sSVD: pseudo-inverse of the lower-triangular convolution matrix; blind to negative delays."""
    first_row = np.zeros(len(artery))
    first_row[0] = artery[0]
    u, s, vt = np.linalg.svd(toeplitz(artery, first_row) * step_s)
    kept = s > threshold * s[0]
    return np.asarray((vt[kept].T / s[kept]) @ u[:, kept].T)


class Filter:
    """Inverse of a spectrum, held back where the spectrum is weak."""

    def __init__(self, threshold: float, *, damp: bool) -> None:
        self.threshold = threshold
        self.damp = damp

    def __call__(self, spectrum: Array) -> Array:
        """The inverse of a complex spectrum under this filter."""
        size = np.abs(spectrum)
        limit = self.threshold * size.max()
        if self.damp:
            return np.asarray(np.conj(spectrum) / (size**2 + limit**2))
        return np.where(size > limit, 1.0 / np.where(size > limit, spectrum, 1.0), 0.0)


def truncated(threshold: float) -> Filter:
    """Singular values up to a share of the largest are dropped."""
    return Filter(threshold, damp=False)


def damped(threshold: float) -> Filter:
    """Tikhonov: s / (s^2 + lambda^2), lambda a share of the largest singular value."""
    return Filter(threshold, damp=True)


def circulant_matrix(
    artery: Array,
    step_s: float,
    inverse: Filter,
    tail_s: float = 0.0,
    highest_hz: float = np.inf,
) -> Floats:
    """Filtered inverse (2n, n) of the circulant of an artery padded to 2n samples.

    The padding keeps late tissue from wrapping round to the start. With ``tail_s`` above 0 the
    curves fade out in it instead of dropping to zero: see ``padding_matrix``. Frequencies above
    ``highest_hz`` are dropped.
    """
    count = len(artery)
    padding = padding_matrix(count, step_s, tail_s)
    spectrum = np.fft.rfft(padding @ artery) * step_s
    seen = np.fft.rfftfreq(2 * count, step_s) <= highest_hz
    impulse = np.fft.irfft(inverse(spectrum) * seen, 2 * count)
    lags = np.arange(2 * count)[:, None] - np.arange(2 * count)[None, :]
    return np.asarray(impulse[lags % (2 * count)] @ padding)


def padding_matrix(count: int, step_s: float, tail_s: float) -> Floats:
    """(2n, n): a curve of n samples and n more that fade from the mean of its last 3 s.

    A scan ends while contrast agent recirculates. Curves cut off there have an edge that no
    residue explains, and flow then changes with delay; a fade of artery and tissue alike does not
    have it. A ``tail_s`` of 0 pads with zeros.
    """
    padding = np.eye(2 * count, count)
    if tail_s > 0:
        later = np.arange(1, count + 1)
        fade = np.exp(-later * step_s / tail_s) * (1.0 - later / count)
        last = max(1, min(count, round(_TAIL_FROM_S / step_s)))
        padding[count:, count - last :] = fade[:, None] / last
    return padding


def oscillation_matrices(
    artery: Array, step_s: float, tail_s: float = 0.0, sampled_s: float = 0.0
) -> Iterator[Floats]:
    """cSVD's matrices by rising threshold, for oSVD.

    ``sampled_s`` is the time between the images from which the curves were interpolated. A low
    threshold lets frequencies pass that images so far apart do not show; what the interpolation put
    there changes with the delay, so they are dropped from a little under the Nyquist frequency on.
    """
    highest_hz = _OF_NYQUIST / (2.0 * sampled_s) if sampled_s > 0 else np.inf
    for threshold in OSCILLATION_GRID:
        inverse = truncated(float(threshold))
        yield circulant_matrix(artery, step_s, inverse, tail_s, highest_hz)


def least_truncated(curves: Array, matrices: Iterator[Array], limit: float) -> Array:
    """Residues by the first matrix under which a voxel's oscillation index is below the limit.

    The first, not the smoothest: the index falls as more is truncated, and flow with it.
    """
    result = np.empty((0, curves.shape[1]), np.float32)
    left = np.arange(curves.shape[1])
    for matrix in matrices:
        tried = matrix @ curves[:, left]
        if not len(result):
            result = np.zeros((len(tried), curves.shape[1]), np.float32)
        result[:, left] = tried
        left = left[oscillation_index(tried) >= limit]
        if not len(left):
            break
    return result


def oscillation_index(residue: Array) -> Array:
    """(1/L) (1/max k) sum |k_i - 2 k_(i-1) + k_(i-2)| of each column, L rows (Wu 2003)."""
    roughness = np.abs(np.diff(residue, 2, axis=0)).sum(axis=0)
    peak = residue.max(axis=0)
    index = np.full(residue.shape[1], np.inf)
    np.divide(roughness, len(residue) * peak, out=index, where=peak > 0, casting="unsafe")
    return index
