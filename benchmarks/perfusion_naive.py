"""CT perfusion voxel by voxel, as it is often written: the yardstick of the matrix form."""

from __future__ import annotations

import numpy as np
from scipy.linalg import circulant

from willis_models.perfusion.parameters import DeconvolutionParameters
from willis_models.volume import Array, Floats


def maps_voxel_by_voxel(
    samples: Array,
    times_s: Floats,
    artery_hu: Floats,
    axis_s: Floats,
    arrival_s: float,
    parameters: DeconvolutionParameters,
) -> Array:
    """CBF, CBV, MTT, Tmax, TTP (voxels, 5) of sample curves (t, voxels), by cSVD.

    The decomposition is computed once; all else is done for each voxel by itself.
    """
    step_s = float(axis_s[1] - axis_s[0])
    count = len(axis_s)
    u, s, vt = np.linalg.svd(circulant(np.r_[artery_hu, np.zeros(count)]) * step_s)
    inverse = np.where(s > parameters.csvd_threshold * s[0], 1.0 / s, 0.0)
    scale = parameters.kappa / parameters.rho_g_ml
    before = times_s < arrival_s
    out = np.empty((samples.shape[1], 5))
    for voxel in range(samples.shape[1]):
        rise = samples[:, voxel] - samples[before, voxel].mean()
        curve = np.interp(axis_s, times_s, rise)
        residue = vt.T @ (inverse * (u.T @ np.r_[curve, np.zeros(count)]))
        peak = int(residue.argmax())
        cbf = 6000.0 * scale * residue[peak]
        cbv = 100.0 * scale * curve.sum() / artery_hu.sum()
        delay_s = (peak if peak < count else peak - 2 * count) * step_s
        out[voxel] = cbf, cbv, 60.0 * cbv / max(cbf, 1e-3), delay_s, curve.argmax() * step_s
    return out
