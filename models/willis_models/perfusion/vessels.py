"""The arterial input and the venous output: found in the images, or read where a person points.

The artery after Mouridsen et al. 2006 (doi:10.1002/mrm.20759): the tenth of the voxels with the
largest area under the curve, without the roughest quarter; clustered by curve shape, of which the
cluster of earliest first moment stays. An early curve is a proximal or contralateral one. The vein:
the largest area at the posterior midline, after the artery.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage
from scipy.spatial.distance import cdist

from willis_models.errors import NoVessel
from willis_models.imaging.components import Mask
from willis_models.perfusion.binning import BinnedSeries
from willis_models.perfusion.curves import Curves, Enhancement
from willis_models.perfusion.parameters import VesselParameters
from willis_models.perfusion.vessel_curve import VesselCurve, roughness_of, vessel_of
from willis_models.volume import Array, Floats

_CONNECTED = np.ones((3, 3, 3))
_CLUSTER_ROUNDS = 30
_STRONGEST_PERCENTILE = 99.5
_END_S, _LOWEST_END = 5.0, -0.05
_ALIKE_MM, _ALIKE_PEAK, _ALIKE = 3.0, 0.6, 0.97


def find_artery(
    enhancement: Enhancement, search: Mask, parameters: VesselParameters
) -> VesselCurve:
    """The arterial input among the voxels of ``search``. Raises NoVessel."""
    if not search.any():
        raise NoVessel("No artery was found: there is no brain to search.")
    pool = _largest_areas(enhancement, search, parameters)
    curves = enhancement.curves_at(pool)
    fit = _smooth_and_strong(curves, enhancement.arrival_s, parameters)
    pool, curves = pool[fit], curves[fit]
    # Once, not twice as in the source: the earliest part of the earliest cluster is often a few
    # voxels of thin arteries, which show half of their blood's enhancement and arrive no earlier.
    early = np.flatnonzero(_earliest_cluster(curves, parameters.clusters))
    strongest = _strongest_group(pool[early], curves.values[early], enhancement, parameters.voxels)
    chosen = _with_alike(pool, curves, early[strongest], enhancement, parameters)
    return vessel_of(enhancement, pool[chosen], is_manual=False, parameters=parameters)


def find_vein(
    enhancement: Enhancement, search: Mask, artery: VesselCurve, parameters: VesselParameters
) -> VesselCurve:
    """The venous output near the posterior midline, or anywhere where none is there."""
    places = np.argwhere(search)
    middle = np.median(enhancement.series.geometry.to_world(places[:: len(places) // 5000 + 1]), 0)
    world = enhancement.series.geometry.to_world(places)
    posterior = (np.abs(world[:, 0] - middle[0]) < parameters.midline_mm) & (
        world[:, 1] > middle[1]
    )
    everywhere = np.ones(len(places), bool)
    after_s = artery.quality.peak_s
    for allowed, later_than_s in ((posterior, after_s), (everywhere, after_s), (everywhere, 0.0)):
        found = _late_largest(enhancement, places[allowed], later_than_s, parameters)
        if found is not None:
            return found
    raise NoVessel("No vein was found: nothing enhances strongly.")


def _late_largest(
    enhancement: Enhancement, places: Array, later_than_s: float, parameters: VesselParameters
) -> VesselCurve | None:
    area = enhancement.area[tuple(places.T)]
    largest = places[np.argsort(-area, kind="stable")[: 20 * parameters.voxels]]
    if not len(largest):
        return None
    curves = enhancement.curves_at(largest)
    late = curves.times_s[curves.values.argmax(axis=1)] > later_than_s
    strong = curves.values.max(axis=1) > parameters.manual_min_peak_hu
    if not (late & strong).any():
        return None
    largest, values = largest[late & strong], curves.values[late & strong]
    chosen = _strongest_group(largest, values, enhancement, parameters.voxels)
    return vessel_of(enhancement, largest[chosen], is_manual=False, parameters=parameters)


def vessel_at(
    enhancement: Enhancement, position_lps: Floats, parameters: VesselParameters
) -> VesselCurve:
    """The vessel at a place that a person chose: the strongest voxels within a few mm.

    Raises NoVessel where nothing there enhances like a vessel.
    """
    series = enhancement.series
    places = _near(series, np.asarray(position_lps, dtype=np.float64), parameters.manual_radius_mm)
    if not len(places):
        raise NoVessel("The chosen place lies outside the images.")
    curves = enhancement.curves_at(places)
    peaks = curves.values.max(axis=1)
    if peaks.max() < parameters.manual_min_peak_hu:
        raise NoVessel(
            f"No vessel at the chosen place: within {parameters.manual_radius_mm:.0f} mm nothing "
            f"enhances by more than {peaks.max():.0f} HU."
        )
    best = np.argsort(-peaks, kind="stable")[: parameters.voxels]
    best = best[peaks[best] >= 0.5 * peaks.max()]
    return vessel_of(enhancement, places[best], is_manual=True, parameters=parameters)


def scaled_to_vein(
    artery: VesselCurve, vein: VesselCurve, parameters: VesselParameters
) -> VesselCurve:
    """The artery's curve made as large as the vein's, where partial volume weakened a small artery.

    A wide artery shows its own blood, and stays as it is.
    """
    ratio = vein.area_hu_s / artery.area_hu_s if artery.area_hu_s > 0 else 0.0
    is_small = artery.quality.diameter_mm < parameters.small_artery_mm
    if not is_small or ratio < parameters.small_artery_ratio:
        return artery
    scale = min(ratio, parameters.max_scale)
    return replace(artery, hu=artery.hu * scale, quality=replace(artery.quality, scaled_by=scale))


def _largest_areas(enhancement: Enhancement, search: Mask, parameters: VesselParameters) -> Array:
    places = np.argwhere(search)
    area = enhancement.area[tuple(places.T)]
    count = max(int(len(places) * parameters.area_share), 1)
    return np.asarray(places[np.argsort(-area, kind="stable")[:count]])


def _smooth_and_strong(curves: Curves, arrival_s: float, parameters: VesselParameters) -> Array:
    """Indices without the roughest curves, and of these the ones that rise like vessels.

    Blood keeps some contrast agent: what ends below its baseline is an edge of a head that moved.
    """
    rough = roughness_of(curves, arrival_s)
    limit = max(float(np.quantile(rough, 1.0 - parameters.rough_share)), parameters.rough_from)
    sound = (rough <= limit) & (_ends(curves) >= _LOWEST_END)
    smooth = np.flatnonzero(sound if sound.any() else rough <= limit)
    peaks = curves.values[smooth].max(axis=1)
    return np.asarray(
        smooth[peaks > parameters.min_peak_share * np.percentile(peaks, _STRONGEST_PERCENTILE)]
    )


def _ends(curves: Curves) -> Array:
    """Mean of the last seconds of each curve, as a share of its peak."""
    late = curves.times_s > curves.times_s[-1] - _END_S
    peaks = np.maximum(curves.values.max(axis=1), 1e-3)
    return np.asarray(curves.values[:, late].mean(axis=1) / peaks)


def _with_alike(
    pool: Array,
    curves: Curves,
    chosen: Array,
    enhancement: Enhancement,
    parameters: VesselParameters,
) -> Array:
    """The chosen voxels and their neighbours of like curve: more voxels make less noise."""
    mean = curves.values[chosen].mean(axis=0)
    offset = (pool - pool[chosen].mean(axis=0)) * np.array(enhancement.series.spacing_mm)
    near = np.abs(offset).max(axis=1) <= max(_ALIKE_MM, enhancement.series.spacing_mm[0])
    strong = curves.values.max(axis=1) >= _ALIKE_PEAK * mean.max()
    candidates = np.flatnonzero(near & strong)
    alike = [i for i in candidates if np.corrcoef(curves.values[i], mean)[0, 1] >= _ALIKE]
    ordered = sorted(alike, key=lambda i: -float(curves.values[i].max()))
    return np.union1d(chosen, np.array(ordered[: parameters.voxels], dtype=int))


def _earliest_cluster(curves: Curves, clusters: int) -> Array:
    """Members of the cluster whose mean curve has the earliest first moment.

    Starts from groups of rising first moment, so that the same images give the same vessel.
    """
    shapes = _unit_area(curves)
    if len(shapes) < 2 * clusters:
        return np.ones(len(shapes), bool)
    moments = shapes @ curves.times_s
    labels = np.empty(len(shapes), int)
    for label, group in enumerate(np.array_split(np.argsort(moments, kind="stable"), clusters)):
        labels[group] = label
    for _ in range(_CLUSTER_ROUNDS):
        used = np.unique(labels)
        centres = np.stack([shapes[labels == label].mean(axis=0) for label in used])
        nearest = used[cdist(shapes, centres, "sqeuclidean").argmin(axis=1)]
        if (nearest == labels).all():
            break
        labels = nearest
    used = np.unique(labels)
    earliest = min(used, key=lambda label: float(moments[labels == label].mean()))
    return np.asarray(labels == earliest)


def _unit_area(curves: Curves) -> Array:
    area = curves.values.sum(axis=1, keepdims=True)
    return np.asarray(curves.values / np.maximum(area, 1e-6))


def _strongest_group(places: Array, curves: Array, enhancement: Enhancement, count: int) -> Array:
    """Indices of the strongest voxels of one connected group: one vessel, not several."""
    field = np.zeros(enhancement.area.shape, bool)
    field[tuple(places.T)] = True
    labels = ndimage.label(field, _CONNECTED)[0][tuple(places.T)]
    peaks = curves.max(axis=1)
    best, best_score = np.zeros(0, int), -np.inf
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        members = members[np.argsort(-peaks[members], kind="stable")[:count]]
        score = float(peaks[members].mean()) * min(1.0, np.sqrt(len(members) / 4))
        if score > best_score:
            best, best_score = members, score
    return np.asarray(best)


def _near(series: BinnedSeries, position_lps: Floats, radius_mm: float) -> Array:
    """Voxels within the radius, or else the nearest one if the place lies in the images."""
    index = series.geometry.to_index(position_lps)
    shape = np.array(series.frames.shape[1:])
    if (index < -0.5).any() or (index > shape - 0.5).any():
        return np.empty((0, 3), int)
    reach = np.ceil(radius_mm / np.array(series.spacing_mm)).astype(int)
    low = np.maximum(np.round(index).astype(int) - reach, 0)
    high = np.minimum(np.round(index).astype(int) + reach + 1, shape)
    box = np.argwhere(np.ones(high - low, bool)) + low
    distance = np.linalg.norm(series.geometry.to_world(box) - position_lps, axis=1)
    near = box[distance <= radius_mm]
    return np.asarray(near if len(near) else box[[int(distance.argmin())]])
