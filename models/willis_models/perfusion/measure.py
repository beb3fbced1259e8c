"""The chain from a raw series to maps, vessels and figures of its quality."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from willis_models.errors import NoBolus, ScanTooShort
from willis_models.imaging.components import Mask
from willis_models.perfusion.binning import Smoother, bin_series, unbin
from willis_models.perfusion.curves import Enhancement, baseline_of, enhancement_of
from willis_models.perfusion.maps import MAP_NAMES, PerfusionMaps, compute_maps
from willis_models.perfusion.masks import Head, find_csf, find_head
from willis_models.perfusion.motion import MotionTrace, correct_motion
from willis_models.perfusion.noise import Noise, choose_smoothing
from willis_models.perfusion.parameters import (
    DeconvolutionParameters,
    MaskParameters,
    PerfusionParameters,
)
from willis_models.perfusion.vessel_curve import VesselCurve
from willis_models.perfusion.vessels import (
    find_artery,
    find_vein,
    scaled_to_vein,
    vessel_at,
)
from willis_models.volume import Array, DynamicStack, Floats, SliceStack

_LEAST_FRAMES = 4


@dataclass(frozen=True)
class Sampling:
    """How the passage of the bolus was sampled.

    ``longest_step_s`` is the longest time between two images of any slice;
    ``seconds_after_arrival`` how long the scan went on after the artery's arrival;
    ``baseline_frames`` the images before it, in the slice that has fewest; ``coverage_mm`` the
    length of the slab along its normal. Where a second bolus arrived, at ``second_bolus_s`` after
    the first image, the steps and the seconds are those before it; ``length_s`` is always that of
    the whole series.
    """

    median_step_s: float
    longest_step_s: float
    length_s: float
    seconds_after_arrival: float
    baseline_frames: int
    coverage_mm: float
    second_bolus_s: float | None = None


@dataclass(frozen=True)
class Perfusion:
    """Everything measured from one series; masks and maps (z, y, x) on the native stack.

    ``brain`` is all that the skull holds; ``tissue`` the part of it that can be measured: without
    CSF, vessels, the rim along the bone, and the eyes.
    """

    maps: PerfusionMaps
    brain: Mask
    tissue: Mask
    still: SliceStack
    aif: VesselCurve
    vof: VesselCurve
    motion: MotionTrace
    noise: Noise
    sampling: Sampling


def measure(
    dynamic: DynamicStack,
    parameters: PerfusionParameters,
    *,
    aif_lps: Floats | None = None,
    vof_lps: Floats | None = None,
    progress: Callable[[str], None] = lambda step: None,
) -> Perfusion:
    """Maps and figures of quality of a raw series.

    ``aif_lps`` and ``vof_lps`` (3,) place the artery and the vein by hand. ``progress`` hears the
    steps "motion", "noise", "vessels" and "deconvolution". Raises only where nothing can be
    computed: NoBolus, NoVessel, ScanTooShort (under four frames). Whether the figures of quality
    are good enough is for the caller to say.
    """
    if len(dynamic.frames) < _LEAST_FRAMES:
        raise ScanTooShort(f"The series has {len(dynamic.frames)} frames: too few for a bolus.")
    progress("motion")
    series = bin_series(dynamic, parameters.noise.bin_below_mm)
    motion = correct_motion(series, parameters.motion)
    progress("noise")
    head = find_head(series.frames.mean(axis=0), series.spacing_mm, parameters.masks)
    if not head.inner.any():
        raise NoBolus("No brain inside a skull was found in the series.")
    noise = choose_smoothing(series, head.inner, parameters.noise)
    progress("vessels")
    step_s = parameters.deconvolution.step_s
    enhancement = enhancement_of(
        series, head.brain, step_s, noise.before_hu, parameters.vessels, motion.jumps
    )
    deep = head.inner if motion.jumps.any() else head.brain
    artery, vein = _vessels(enhancement, head.brain, deep, parameters, aif_lps, vof_lps)
    still = baseline_of(enhancement.series, enhancement.arrival_s)
    tissue = _tissue(enhancement, artery, head, still, parameters.masks, parameters.deconvolution)
    progress("deconvolution")
    maps = compute_maps(
        enhancement, artery.hu, tissue, noise.smoothing_mm, parameters.deconvolution
    )
    native = _Native(series.factor, dynamic)
    return Perfusion(
        maps=PerfusionMaps(**{name: native(getattr(maps, name)) for name in MAP_NAMES}),
        brain=native(head.brain),
        tissue=native(tissue),
        still=dynamic.still(native(still)),
        aif=artery,
        vof=vein,
        motion=motion,
        noise=noise,
        sampling=_sampling(dynamic, enhancement, artery.quality.arrival_s),
    )


@dataclass(frozen=True)
class _Native:
    """Takes binned images back to the series' own pixels."""

    factor: int
    dynamic: DynamicStack

    def __call__(self, image: Array) -> Array:
        _, z, y, x = self.dynamic.frames.shape
        return unbin(image, self.factor, (z, y, x))


def _vessels(
    enhancement: Enhancement,
    brain: Mask,
    deep: Mask,
    parameters: PerfusionParameters,
    aif_lps: Floats | None,
    vof_lps: Floats | None,
) -> tuple[VesselCurve, VesselCurve]:
    """Artery and vein, by hand where a place is given; the artery is sought in ``deep`` only.

    Of a head that moved that is the brain away from the skull: at its edge bone comes and goes.
    The great sinuses lie there, so the vein is sought everywhere.
    """
    limits = parameters.vessels
    passing = brain & enhancement.passing
    search = passing if passing.any() else brain
    if aif_lps is None:
        inside = search & deep
        artery = find_artery(enhancement, inside if inside.any() else search, limits)
    else:
        artery = vessel_at(enhancement, aif_lps, limits)
    if vof_lps is None:
        vein = find_vein(enhancement, search, artery, limits)
    else:
        vein = vessel_at(enhancement, vof_lps, limits)
    return scaled_to_vein(artery, vein, limits), vein


def _tissue(
    enhancement: Enhancement,
    artery: VesselCurve,
    head: Head,
    still: Array,
    masks: MaskParameters,
    units: DeconvolutionParameters,
) -> Mask:
    """Brain without its rim, CSF, and whatever holds more blood than tissue can."""
    spacing = enhancement.series.spacing_mm
    csf = find_csf(still, head, spacing, masks)
    blood = 100.0 * units.kappa / units.rho_g_ml * enhancement.area / artery.area_hu_s
    vessel = np.zeros_like(csf)
    for z, plane in enumerate(head.brain):
        smoother = Smoother.within(plane, masks.vessel_sigma_mm, spacing[1:])
        vessel[z] = smoother(blood[z]) > masks.vessel_cbv_ml_100g
    return head.inner & ~csf & ~vessel


def _sampling(dynamic: DynamicStack, enhancement: Enhancement, artery_s: float) -> Sampling:
    """The bolus's arrival anywhere ends the baseline, the artery's starts the clock."""
    times, second_s = enhancement.series.times_s, enhancement.second_s
    longest_step_s = float(np.diff(times, axis=0).max())
    end_s = float(times[-1].min())
    if second_s is not None:  # the first bolus is seen until the frame that shows the second
        end_s = min(end_s + longest_step_s, float(dynamic.times_s[len(times)].min()))
    stack = dynamic.still(dynamic.frames[0])
    start_s = float(times.min())
    return Sampling(
        median_step_s=float(np.median(np.diff(times, axis=0))),
        longest_step_s=longest_step_s,
        length_s=float(dynamic.times_s.max()) - start_s,
        seconds_after_arrival=end_s - start_s - artery_s,
        baseline_frames=int((times < enhancement.arrival_s).sum(axis=0).min()),
        coverage_mm=float(stack.slice_extents_mm.sum()) if len(stack.origins_lps) > 1 else 0.0,
        second_bolus_s=None if second_s is None else second_s - start_s,
    )
