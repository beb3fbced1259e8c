"""Is the scan good enough to be read: what was measured of it, against the limits.

The rules and their sources are in ``docs/perfusion.md``.
"""

from __future__ import annotations

from collections.abc import Iterator

from willis_models.errors import (
    BolusTruncated,
    NoBolus,
    SamplingTooCoarse,
    ScanTooShort,
    TooMuchMotion,
)
from willis_models.findings import Outcome, QualityItem
from willis_models.perfusion.measure import Perfusion
from willis_models.perfusion.parameters import QualityLimits
from willis_models.pipelines.infarct.measured import Measured
from willis_models.pipelines.infarct.parameters import InfarctParameters

HU = "[hnsf'U]"


def scan_items(measured: Measured, parameters: InfarctParameters) -> tuple[QualityItem, ...]:
    """Quality items of a raw series; none for ready maps, of which nothing can be checked."""
    if measured.scan is None:
        return ()
    scan, limits = measured.scan, parameters.perfusion.limits
    return (*_timing(scan, limits), *_bolus(scan, limits), *_image(scan, limits))


def _timing(scan: Perfusion, limits: QualityLimits) -> Iterator[QualityItem]:
    after_s, least_s = scan.sampling.seconds_after_arrival, limits.reject_seconds_after_arrival
    second_s = scan.sampling.second_bolus_s
    until = "" if second_s is None else " and before a second bolus"
    yield _item(
        ScanTooShort.code,
        "reject" if after_s < least_s else "pass",
        f"Time scanned after the contrast agent's arrival{until}; at least {least_s:.0f} s are "
        "needed.",
        after_s,
        "s",
    )
    if second_s is not None:
        yield _item(
            "SECOND_BOLUS",
            "warn",
            "A second bolus arrived after this time; perfusion was measured on the first, from "
            "the images before it.",
            second_s,
            "s",
        )
    step_s, most_s = scan.sampling.longest_step_s, limits.reject_step_s
    yield _item(
        SamplingTooCoarse.code,
        "reject" if step_s > most_s else "pass",
        f"Longest time between two images of a slice; at most {most_s:.1f} s are accepted.",
        step_s,
        "s",
        digits=2,
    )
    frames, least = scan.sampling.baseline_frames, limits.warn_baseline_frames
    yield _item(
        "SHORT_BASELINE",
        "warn" if frames < least else "pass",
        f"Images before the contrast agent's arrival; at least {least} make a steady baseline.",
        frames,
        "{count}",
    )


def _bolus(scan: Perfusion, limits: QualityLimits) -> Iterator[QualityItem]:
    peak_hu = scan.aif.quality.peak_hu
    yield _item(
        NoBolus.code,
        "reject" if peak_hu < limits.reject_peak_hu else "pass",
        f"Peak of the arterial input; at least {limits.reject_peak_hu:.0f} HU are needed.",
        peak_hu,
        HU,
    )
    share = scan.aif.quality.last_share
    outcome: Outcome = "pass"
    if share > limits.warn_last_share:
        outcome = "reject" if share > limits.reject_last_share else "warn"
    yield _item(
        BolusTruncated.code,
        outcome,
        "Arterial enhancement at the end of the scan as a share of its peak; above "
        f"{limits.warn_last_share:.0%} volumes may be too large, above "
        f"{limits.reject_last_share:.0%} the scan is not read.",
        share,
        "{ratio}",
        digits=2,
    )


def _image(scan: Perfusion, limits: QualityLimits) -> Iterator[QualityItem]:
    moved_mm = scan.motion.max_mm
    outcome: Outcome = "pass"
    if moved_mm > limits.warn_motion_mm:
        outcome = "reject" if moved_mm > limits.reject_motion_mm else "warn"
    yield _item(
        TooMuchMotion.code,
        outcome,
        f"Largest movement of the head; {int(scan.motion.corrected.sum())} of "
        f"{len(scan.motion.corrected)} frames were moved back. Above "
        f"{limits.reject_motion_mm:.0f} mm the scan is not read.",
        moved_mm,
        "mm",
    )
    noise = scan.noise
    yield _item(
        "NOISE",
        "warn" if noise.after_hu > limits.warn_noise_hu else "pass",
        f"Noise after smoothing with a Gaussian of {noise.smoothing_fwhm_mm:.1f} mm full width "
        f"({noise.before_hu:.1f} HU before); at most {limits.warn_noise_hu:.1f} HU is wanted.",
        noise.after_hu,
        HU,
        digits=2,
    )
    coverage_mm = scan.sampling.coverage_mm
    yield _item(
        "LOW_COVERAGE",
        "warn" if coverage_mm < limits.warn_coverage_mm else "pass",
        "Length of the scanned slab; what lies outside it is not seen. "
        f"{limits.warn_coverage_mm:.0f} mm or more are wanted.",
        coverage_mm,
        "mm",
    )


def _item(
    code: str, outcome: Outcome, message: str, value: float, unit: str, digits: int = 1
) -> QualityItem:
    return QualityItem(
        code=code, outcome=outcome, message=message, value=round(float(value), digits), unit=unit
    )
