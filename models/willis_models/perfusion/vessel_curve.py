"""A vessel's enhancement over time, and what tells a good curve from a bad one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from willis_models.errors import NoBolus
from willis_models.perfusion.curves import Curves, Enhancement
from willis_models.perfusion.parameters import VesselParameters
from willis_models.perfusion.sampling import arrival_of
from willis_models.volume import Array, Floats

_FIRST_PASS_S = 10.0


@dataclass(frozen=True)
class CurveQuality:
    """What tells a good vessel from a bad one.

    ``arrival_s`` and ``peak_s`` after the first image of the series; ``last_share`` the last value
    over the peak (how far the bolus had passed); ``roughness`` how much the curve jitters outside
    the first pass, over its peak; ``diameter_mm`` of a circle as large as the vessel's
    largest section; ``scaled_by`` what the curve was multiplied with because of a small artery.
    """

    peak_hu: float
    arrival_s: float
    peak_s: float
    fwhm_s: float
    last_share: float
    roughness: float
    diameter_mm: float
    is_manual: bool
    scaled_by: float = 1.0


@dataclass(frozen=True)
class VesselCurve:
    """Enhancement of a vessel: ``hu`` (n,) over the baseline at ``times_s`` (n,) after the first
    image; ``voxels`` binned voxels averaged, the one at ``position_lps`` in their middle."""

    times_s: Floats
    hu: Floats
    position_lps: Floats
    voxels: int
    quality: CurveQuality

    @property
    def area_hu_s(self) -> float:
        """Area under the curve."""
        return float(self.hu.sum() * (self.times_s[1] - self.times_s[0]))


def vessel_of(
    enhancement: Enhancement, places: Array, *, is_manual: bool, parameters: VesselParameters
) -> VesselCurve:
    """The mean curve of some voxels (n, 3), described. Raises NoBolus where nothing rises."""
    curves = enhancement.curves_at(places)
    curve = curves.values.mean(axis=0).astype(np.float64)
    centre = places.mean(axis=0)
    middle = places[int(np.linalg.norm(places - centre, axis=1).argmin())]
    peak = float(curve.max())
    if peak <= 0:
        raise NoBolus("The vessel does not enhance: no contrast agent arrived during the scan.")
    arrival_s = arrival_of(curve, curves.times_s, parameters.arrival_share)
    mean = Curves(curve[None], curves.times_s)
    quality = CurveQuality(
        peak_hu=peak,
        arrival_s=arrival_s,
        peak_s=float(curves.times_s[int(curve.argmax())]),
        fwhm_s=_width_s(curve, curves.times_s),
        last_share=float(curve[-3:].mean() / peak),
        roughness=float(roughness_of(mean, arrival_s)[0]),
        diameter_mm=_diameter_mm(enhancement, middle),
        is_manual=is_manual,
    )
    position = np.asarray(enhancement.series.geometry.to_world(middle.astype(np.float64)))
    return VesselCurve(curves.times_s, curve, position, len(places), quality)


def _width_s(curve: Array, times_s: Array) -> float:
    """Full width at half maximum of the first pass."""
    peak = int(curve.argmax())
    high = curve >= curve[peak] / 2
    below = np.flatnonzero(~high)
    first = int(below[below < peak].max(initial=-1)) + 1
    last = int(below[below > peak].min(initial=len(curve))) - 1
    return float(times_s[last] - times_s[first] + (times_s[1] - times_s[0]))


def _diameter_mm(enhancement: Enhancement, middle: Array) -> float:
    """Of a circle as large as the connected area of half the vessel's area-under-curve."""
    plane = enhancement.area[middle[0]]
    labels = ndimage.label(plane >= plane[middle[1], middle[2]] / 2)[0]
    pixels = int((labels == labels[middle[1], middle[2]]).sum())
    dy, dx = enhancement.series.pixel_mm
    return float(2.0 * np.sqrt(pixels * dy * dx / np.pi))


def roughness_of(curves: Curves, arrival_s: float) -> Array:
    """Root mean square of the second differences over the peak, without the first pass.

    A sharp bolus is no fault of a curve, so only its baseline and its tail are judged.
    """
    peaks = curves.values.max(axis=1)
    passed = curves.times_s[curves.values.argmax(axis=1)] + _FIRST_PASS_S
    times = curves.times_s[None, 1:-1]
    judged = (times < arrival_s) | (times > passed[:, None])
    squares = (np.diff(curves.values, 2, axis=1) ** 2 * judged).sum(axis=1)
    mean = squares / np.maximum(judged.sum(axis=1), 1)
    return np.asarray(np.sqrt(mean) / np.maximum(peaks, 1e-3))
