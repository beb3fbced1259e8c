"""How perfusion was measured and its numbers, as findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np

from willis_models.findings import (
    Criterion,
    Measurement,
    MotionTrace,
    PerfusionFindings,
    VesselCurve,
)
from willis_models.perfusion.measure import Perfusion
from willis_models.perfusion.numbers import PerfusionNumbers
from willis_models.perfusion.parameters import PerfusionParameters
from willis_models.perfusion.trials import trial_criteria
from willis_models.perfusion.vessel_curve import VesselCurve as MeasuredCurve
from willis_models.pipelines.base import Case
from willis_models.pipelines.infarct.measured import Measured
from willis_models.pipelines.infarct.parameters import InfarctParameters
from willis_models.volume import Floats

HU = "[hnsf'U]"
_OUTCOMES: Mapping[str, Literal["met", "not_met", "not_assessable"]] = {
    "met": "met",
    "not met": "not_met",
    "not assessable": "not_assessable",
}
_METHODS = {
    "ssvd": "singular value decomposition",
    "csvd": "block-circulant singular value decomposition",
    "osvd": "block-circulant singular value decomposition with an oscillation limit",
    "tikhonov": "Tikhonov regularisation",
}


def perfusion_findings(
    measured: Measured, case: Case, parameters: InfarctParameters
) -> PerfusionFindings:
    """Vessels, motion and criteria of one case."""
    age_years = case[measured.role].acquisition.patient_age_years
    criteria = tuple(
        Criterion(trial=c.name, rule=c.rule_text, outcome=_OUTCOMES[c.outcome], why=c.why)
        for c in trial_criteria(measured.numbers, age_years=age_years)
    )
    scan = measured.scan
    if scan is None:
        method = "Read from maps that were sent."
        return PerfusionFindings(source="maps", method=method, criteria=criteria)
    return PerfusionFindings(
        source="series",
        method=_method(measured.numbers, scan, parameters.perfusion),
        aif=_vessel("aif", scan.aif),
        vof=_vessel("vof", scan.vof),
        motion=_motion(measured, scan),
        criteria=criteria,
    )


def study_numbers(measured: Measured) -> tuple[Measurement, ...]:
    """Volumes and ratios of the whole study, and how noisy the scan was; None where not known."""
    return tuple(
        Measurement(key=key, value=_rounded(value, 2), unit=unit)
        for key, value, unit in _table(measured.numbers, measured.scan)
    )


def _table(
    numbers: PerfusionNumbers, scan: Perfusion | None
) -> Iterator[tuple[str, float | None, str]]:
    for percent, volume_ml in (numbers.rcbf_ml or {}).items():
        yield f"rcbf_below_{percent:g}_ml", volume_ml, "mL"
    for seconds, volume_ml in (numbers.tmax_ml or {}).items():
        yield f"tmax_above_{seconds:g}_ml", volume_ml, "mL"
    yield "mismatch_ml", numbers.mismatch_ml, "mL"
    yield "mismatch_ratio", numbers.mismatch_ratio, "{ratio}"
    yield "hypoperfusion_intensity_ratio", numbers.hir, "{ratio}"
    yield "cbv_index", numbers.cbv_index, "{ratio}"
    if scan is not None:
        yield "noise_hu", scan.noise.after_hu, HU


def _method(numbers: PerfusionNumbers, scan: Perfusion, parameters: PerfusionParameters) -> str:
    """One paragraph: what was done to the images, and what they are compared with."""
    binned = scan.noise.binned_by
    pixels = f"Pixels averaged {binned} x {binned}, then smoothed" if binned > 1 else "Smoothed"
    reference = f" Relative CBF refers to {numbers.reference}." if numbers.reference else ""
    note = f" {numbers.mismatch_note}" if numbers.mismatch_note else ""
    second_s = scan.sampling.second_bolus_s
    part = "" if second_s is None else f"Of two boluses the first, up to {second_s:.0f} s. "
    return (
        f"{part}Deconvolution by {_METHODS[parameters.deconvolution.method]}. {pixels} in plane "
        f"with a Gaussian of {scan.noise.smoothing_fwhm_mm:.1f} mm full width; noise "
        f"{scan.noise.before_hu:.1f} HU before and {scan.noise.after_hu:.2f} HU after."
        f"{reference}{note}"
    )


def _vessel(name: Literal["aif", "vof"], curve: MeasuredCurve) -> VesselCurve:
    found = curve.quality
    numbers: Mapping[str, tuple[float, str]] = {
        "peak_hu": (found.peak_hu, HU),
        "arrival_s": (found.arrival_s, "s"),
        "time_to_peak_s": (found.peak_s, "s"),
        "fwhm_s": (found.fwhm_s, "s"),
        "last_share": (found.last_share, "{ratio}"),
    }
    x, y, z = (round(float(one), 1) for one in curve.position_lps)
    return VesselCurve(
        name=name,
        position_lps=(x, y, z),
        is_manual=found.is_manual,
        times_s=_listed(curve.times_s, 2),
        enhancement_hu=_listed(curve.hu, 1),
        measurements=tuple(
            Measurement(key=key, value=_rounded(value, 2), unit=unit)
            for key, (value, unit) in numbers.items()
        ),
    )


def _motion(measured: Measured, scan: Perfusion) -> MotionTrace | None:
    if measured.frame_times_s is None:
        return None
    return MotionTrace(
        times_s=_listed(measured.frame_times_s, 2),
        translation_mm=_listed(scan.motion.translation_mm, 2),
        rotation_deg=_listed(scan.motion.rotation_deg, 2),
        corrected=tuple(bool(one) for one in scan.motion.corrected),
    )


def _listed(values: Floats, digits: int) -> tuple[float, ...]:
    return tuple(round(float(one), digits) for one in values)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), digits)
