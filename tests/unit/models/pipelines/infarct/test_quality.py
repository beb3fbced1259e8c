"""Each limit of a usable scan, on either side of it: rules of ``docs/perfusion.md``."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from tests.unit.models.perfusion.block_phantom import frame_times, make_phantom
from tests.unit.models.pipelines.infarct.case import case_of, map_case, phantom, run
from willis_models.findings import Findings, QualityItem
from willis_models.perfusion.measure import Perfusion, Sampling
from willis_models.perfusion.noise import Noise
from willis_models.perfusion.parameters import DEFAULTS
from willis_models.pipelines.base import Request
from willis_models.pipelines.infarct.measured import Measured, measure_case
from willis_models.pipelines.infarct.parameters import InfarctParameters, parameters_of
from willis_models.pipelines.infarct.quality import scan_items
from willis_models.runtime.bundle import latest_bundle
from willis_training.infarct.contract import PARAMETERS, draft_manifest

GOOD_SAMPLING = Sampling(
    median_step_s=1.5,
    longest_step_s=1.5,
    length_s=66.0,
    seconds_after_arrival=50.0,
    baseline_frames=6,
    coverage_mm=120.0,
)
GOOD_NOISE = Noise(before_hu=3.0, after_hu=0.25, smoothing_mm=2.0, binned_by=2)


def shipped() -> InfarctParameters:
    """What the product runs with."""
    return parameters_of(latest_bundle("infarct").manifest)


@cache
def measured() -> Measured:
    return measure_case(case_of(phantom().dynamic), shipped(), Request())


def scan() -> Perfusion:
    """A scan without fault."""
    found = measured().scan
    assert found is not None
    aif = replace(found.aif, quality=replace(found.aif.quality, peak_hu=300.0, last_share=0.1))
    return replace(found, aif=aif, noise=GOOD_NOISE, sampling=GOOD_SAMPLING)


def sampled(**figures: float) -> Perfusion:
    return replace(scan(), sampling=replace(GOOD_SAMPLING, **figures))


def with_artery(**figures: float) -> Perfusion:
    good = scan()
    return replace(good, aif=replace(good.aif, quality=replace(good.aif.quality, **figures)))


def moved_by(most_mm: float) -> Perfusion:
    good = scan()
    displacement_mm = np.zeros(len(good.motion.displacement_mm))
    displacement_mm[5] = most_mm
    return replace(good, motion=replace(good.motion, displacement_mm=displacement_mm))


def noisy(after_hu: float) -> Perfusion:
    return replace(scan(), noise=replace(GOOD_NOISE, after_hu=after_hu))


def items_of(perfusion: Perfusion) -> dict[str, QualityItem]:
    items = scan_items(replace(measured(), scan=perfusion), shipped())
    return {item.code: item for item in items}


def test_a_good_scan_passes_every_check() -> None:
    assert {code: item.outcome for code, item in items_of(scan()).items()} == dict.fromkeys(
        (
            "SCAN_TOO_SHORT",
            "SAMPLING_TOO_COARSE",
            "SHORT_BASELINE",
            "NO_BOLUS",
            "BOLUS_TRUNCATED",
            "TOO_MUCH_MOTION",
            "NOISE",
            "LOW_COVERAGE",
        ),
        "pass",
    )


@pytest.mark.parametrize(
    ("code", "perfusion", "outcome"),
    [
        ("SCAN_TOO_SHORT", lambda: sampled(seconds_after_arrival=40.0), "pass"),
        ("SCAN_TOO_SHORT", lambda: sampled(seconds_after_arrival=39.9), "reject"),
        ("SAMPLING_TOO_COARSE", lambda: sampled(longest_step_s=3.5), "pass"),
        ("SAMPLING_TOO_COARSE", lambda: sampled(longest_step_s=3.51), "reject"),
        ("SHORT_BASELINE", lambda: sampled(baseline_frames=3), "pass"),
        ("SHORT_BASELINE", lambda: sampled(baseline_frames=2), "warn"),
        ("LOW_COVERAGE", lambda: sampled(coverage_mm=80.0), "pass"),
        ("LOW_COVERAGE", lambda: sampled(coverage_mm=79.9), "warn"),
        ("NO_BOLUS", lambda: with_artery(peak_hu=100.0), "pass"),
        ("NO_BOLUS", lambda: with_artery(peak_hu=99.9), "reject"),
        ("BOLUS_TRUNCATED", lambda: with_artery(last_share=0.5), "pass"),
        ("BOLUS_TRUNCATED", lambda: with_artery(last_share=0.51), "warn"),
        ("BOLUS_TRUNCATED", lambda: with_artery(last_share=0.8), "warn"),
        ("BOLUS_TRUNCATED", lambda: with_artery(last_share=0.81), "reject"),
        ("TOO_MUCH_MOTION", lambda: moved_by(3.0), "pass"),
        ("TOO_MUCH_MOTION", lambda: moved_by(3.1), "warn"),
        ("TOO_MUCH_MOTION", lambda: moved_by(10.0), "warn"),
        ("TOO_MUCH_MOTION", lambda: moved_by(10.1), "reject"),
        ("NOISE", lambda: noisy(0.5), "pass"),
        ("NOISE", lambda: noisy(0.51), "warn"),
    ],
)
def test_a_limit_lies_where_the_rules_put_it_and_touches_no_other_check(
    code: str, perfusion: Any, outcome: str
) -> None:
    found = items_of(perfusion())

    assert found.pop(code).outcome == outcome
    assert {item.outcome for item in found.values()} == {"pass"}


def test_an_item_tells_what_was_measured_and_in_which_unit() -> None:
    motion = items_of(moved_by(4.23))["TOO_MUCH_MOTION"]
    noise = items_of(noisy(0.613))["NOISE"]

    assert (motion.value, motion.unit) == (4.2, "mm")
    assert (noise.value, noise.unit) == (0.61, "[hnsf'U]")
    assert "3.0 HU before" in noise.message


def test_a_second_bolus_is_told_and_what_was_measured_instead() -> None:
    found = items_of(sampled(second_bolus_s=61.04))

    assert found["SECOND_BOLUS"].outcome == "warn"
    assert found["SECOND_BOLUS"].value == 61.0
    assert "before a second bolus" in found["SCAN_TOO_SHORT"].message
    assert "SECOND_BOLUS" not in items_of(scan())


def test_the_product_has_the_limits_that_the_code_was_measured_with() -> None:
    assert shipped().perfusion.limits == DEFAULTS.limits


def test_ready_maps_have_no_scan_to_check() -> None:
    ready = measure_case(map_case(), shipped(), Request())

    assert scan_items(ready, shipped()) == ()


def test_a_study_of_two_boluses_is_read_from_the_first_and_says_so() -> None:
    made = make_phantom(frame_times(1.5, 90.0, 6), pixels=96, step_mm=10.0, second_s=45.0)

    findings = run(case_of(made.dynamic)).findings

    assert findings.status == "succeeded"
    assert "SECOND_BOLUS" in {item.code for item in findings.quality if item.outcome == "warn"}
    assert findings.perfusion is not None
    assert findings.perfusion.method.startswith("Of two boluses the first")


def test_boluses_too_close_to_each_other_are_rejected_as_too_short_a_scan() -> None:
    made = make_phantom(frame_times(1.5, 80.0, 6), pixels=96, step_mm=10.0, second_s=30.0)

    findings = run(case_of(made.dynamic)).findings

    assert findings.rejection is not None
    assert findings.rejection.code == "SCAN_TOO_SHORT"
    assert "second bolus" in findings.rejection.message


def analysed_with(**limits: float) -> Findings:
    """The phantom's series under limits moved to either side of what is measured of it."""
    perfusion = PARAMETERS["perfusion"]
    moved = {**perfusion, "limits": {**perfusion["limits"], **limits}}
    return run(
        case_of(phantom().dynamic),
        manifest=draft_manifest(parameters={**PARAMETERS, "perfusion": moved}),
    ).findings


@pytest.mark.parametrize(
    ("code", "limits"),
    [
        ("SCAN_TOO_SHORT", {"reject_seconds_after_arrival": 60.0}),
        ("SAMPLING_TOO_COARSE", {"reject_step_s": 1.4}),
        ("NO_BOLUS", {"reject_peak_hu": 400.0}),
        ("BOLUS_TRUNCATED", {"warn_last_share": 0.05, "reject_last_share": 0.06}),
        ("TOO_MUCH_MOTION", {"warn_motion_mm": -2.0, "reject_motion_mm": -1.0}),
    ],
)
def test_a_scan_beyond_a_limit_is_rejected_with_its_code_and_no_numbers(
    code: str, limits: dict[str, float]
) -> None:
    findings = analysed_with(**limits)

    assert findings.status == "rejected"
    assert findings.rejection is not None
    assert findings.rejection.code == code
    assert findings.segments == ()
    assert findings.measurements == ()


def test_a_doubtful_scan_is_read_and_its_warnings_reach_the_findings() -> None:
    findings = analysed_with(
        warn_last_share=0.05,
        warn_motion_mm=-1.0,
        warn_noise_hu=-1.0,
        warn_coverage_mm=500.0,
        warn_baseline_frames=99,
    )

    assert findings.status == "succeeded"
    assert {item.code for item in findings.quality if item.outcome == "warn"} == {
        "BOLUS_TRUNCATED",
        "TOO_MUCH_MOTION",
        "NOISE",
        "LOW_COVERAGE",
        "SHORT_BASELINE",
    }


@pytest.mark.parametrize(
    ("pixels", "outcome"), [(1, "pass"), (2, "warn"), (6, "reject")], ids=["2 mm", "5 mm", "14 mm"]
)
def test_a_head_that_moves_is_read_doubted_or_rejected_by_how_far(
    pixels: int, outcome: str
) -> None:
    dynamic = phantom().dynamic
    frames = dynamic.frames.copy()
    frames[30:] = np.roll(frames[30:], pixels, axis=3)

    findings = run(case_of(replace(dynamic, frames=frames))).findings

    found = next(item for item in findings.quality if item.code == "TOO_MUCH_MOTION")
    assert found.outcome == outcome
    assert (findings.status == "rejected") == (outcome == "reject")
