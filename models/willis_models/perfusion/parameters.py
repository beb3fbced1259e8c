"""Every constant of the perfusion core that changes a result: the manifest gives the values."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Method = Literal["ssvd", "csvd", "osvd", "tikhonov"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class MotionParameters(_Frozen):
    """Frames are aligned on their bone: contrast agent does not change it.

    ``low_hu`` to ``high_hu`` is the window of bone; ``grid_mm`` the in-plane pixel on which the
    alignment works; ``still_mm`` the displacement below which a frame is left as it is;
    ``head_radius_mm`` the sphere over which a displacement is averaged.
    """

    low_hu: float
    high_hu: float
    grid_mm: float
    coarse_mm: float
    iterations: int
    still_mm: float
    head_radius_mm: float


class NoiseParameters(_Frozen):
    """Pixels under ``bin_below_mm`` are binned; then smoothing aims at ``target_hu``.

    ``max_sigma_mm`` bounds the Gaussian's sigma where the target would need a wider one.
    """

    bin_below_mm: float
    target_hu: float
    max_sigma_mm: float
    sigma_step_mm: float


class MaskParameters(_Frozen):
    """What is tissue. HU values are read in the smoothed still image before the contrast."""

    brain_low_hu: float
    brain_high_hu: float
    bone_hu: float
    fat_hu: float
    opening_mm: float
    eye_margin_mm: float
    bone_margin_mm: float
    still_sigma_mm: float
    csf_below_median_hu: float
    vessel_cbv_ml_100g: float
    vessel_sigma_mm: float


class VesselParameters(_Frozen):
    """Search for the artery (after Mouridsen et al. 2006, doi:10.1002/mrm.20759) and the vein."""

    bolus_share: float
    min_bolus_hu: float
    min_bolus_to_noise: float
    arrival_share: float
    area_share: float
    rough_share: float
    rough_from: float
    clusters: int
    min_peak_share: float
    voxels: int
    midline_mm: float
    small_artery_mm: float
    small_artery_ratio: float
    max_scale: float
    manual_radius_mm: float
    manual_min_peak_hu: float


class DeconvolutionParameters(_Frozen):
    """How curves become residue functions, and the constants of the units.

    ``tail_s`` is the time constant with which curves fade beyond the end of the scan, 0 for a
    padding of plain zeros; the residue's delays are searched from ``earliest_s`` to ``latest_s``.
    """

    method: Method
    step_s: float
    ssvd_threshold: float
    csvd_threshold: float
    osvd_oscillation: float
    tikhonov_threshold: float
    tail_s: float
    earliest_s: float
    latest_s: float
    kappa: float
    rho_g_ml: float


class QualityLimits(_Frozen):
    """Limits of a usable scan: beyond a ``reject`` nothing is reported."""

    reject_seconds_after_arrival: float
    reject_step_s: float
    reject_peak_hu: float
    reject_last_share: float
    reject_motion_mm: float
    warn_motion_mm: float
    warn_baseline_frames: int
    warn_last_share: float
    warn_noise_hu: float
    warn_coverage_mm: float


class NumberParameters(_Frozen):
    """Thresholds of the volumes; percents of normal CBF and seconds of Tmax, in rising order."""

    rcbf_percent: tuple[float, ...]
    tmax_s: tuple[float, ...]
    core_rcbf_percent: float
    hypoperfused_tmax_s: float
    severe_tmax_s: float
    normal_tmax_s: float
    min_component_ml: float
    good_hir: float


class PerfusionParameters(_Frozen):
    """Everything that the perfusion core needs to know beside the images."""

    motion: MotionParameters
    noise: NoiseParameters
    masks: MaskParameters
    vessels: VesselParameters
    deconvolution: DeconvolutionParameters
    limits: QualityLimits
    numbers: NumberParameters


DEFAULTS = PerfusionParameters(
    motion=MotionParameters(
        low_hu=400.0,
        high_hu=1200.0,
        grid_mm=2.5,
        coarse_mm=5.0,
        iterations=12,
        still_mm=0.25,
        head_radius_mm=80.0,
    ),
    noise=NoiseParameters(bin_below_mm=0.8, target_hu=0.25, max_sigma_mm=3.0, sigma_step_mm=0.25),
    masks=MaskParameters(
        brain_low_hu=-10.0,
        brain_high_hu=120.0,
        bone_hu=200.0,
        fat_hu=-30.0,
        opening_mm=4.0,
        eye_margin_mm=4.0,
        bone_margin_mm=2.5,
        still_sigma_mm=1.0,
        csf_below_median_hu=14.0,
        vessel_cbv_ml_100g=9.0,
        vessel_sigma_mm=1.0,
    ),
    vessels=VesselParameters(
        bolus_share=0.005,
        min_bolus_hu=20.0,
        min_bolus_to_noise=3.0,
        arrival_share=0.1,
        area_share=0.1,
        rough_share=0.25,
        rough_from=0.01,
        clusters=5,
        min_peak_share=0.3,
        voxels=12,
        midline_mm=15.0,
        small_artery_mm=4.0,
        small_artery_ratio=1.2,
        max_scale=4.0,
        manual_radius_mm=5.0,
        manual_min_peak_hu=30.0,
    ),
    deconvolution=DeconvolutionParameters(
        method="csvd",
        step_s=0.5,
        ssvd_threshold=0.2,
        csvd_threshold=0.1,
        osvd_oscillation=0.035,
        tikhonov_threshold=0.1,
        tail_s=10.0,
        earliest_s=-10.0,
        latest_s=40.0,
        kappa=0.73,
        rho_g_ml=1.05,
    ),
    limits=QualityLimits(
        reject_seconds_after_arrival=40.0,
        reject_step_s=3.5,
        reject_peak_hu=100.0,
        reject_last_share=0.8,
        reject_motion_mm=10.0,
        warn_motion_mm=3.0,
        warn_baseline_frames=3,
        warn_last_share=0.5,
        warn_noise_hu=0.5,
        warn_coverage_mm=80.0,
    ),
    numbers=NumberParameters(
        rcbf_percent=(20.0, 30.0, 34.0, 38.0),
        tmax_s=(4.0, 6.0, 8.0, 10.0),
        core_rcbf_percent=30.0,
        hypoperfused_tmax_s=6.0,
        severe_tmax_s=10.0,
        normal_tmax_s=4.0,
        min_component_ml=1.0,
        good_hir=0.4,
    ),
)
