"""From a perfusion scan to core, penumbra and predicted infarct, with sides and refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.models.pipelines.infarct.case import (
    PATIENT,
    case_of,
    map_case,
    mirrored,
    phantom,
    raw_case,
    run,
    stored_from_left_to_right,
)
from willis_models.findings import NOTHING_FOUND, Findings
from willis_models.pipelines.base import Analysis, InputImage, Request
from willis_models.volume import DynamicStack
from willis_training.infarct.contract import PARAMETERS, draft_manifest


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return run(raw_case())


def volume(findings: Findings, key: str) -> float:
    value = findings.segment(key).value("volume_ml")
    assert value is not None
    return value


def test_core_and_penumbra_of_known_size_are_found(analysis: Analysis) -> None:
    findings, stack = analysis.findings, phantom().dynamic.mean
    truth = {
        name: float((phantom().where(name).sum(axis=(1, 2)) * stack.voxel_ml).sum())
        for name in ("core", "penumbra")
    }

    assert findings.status == "succeeded"
    assert volume(findings, "core") == pytest.approx(truth["core"], rel=0.35)
    assert volume(findings, "penumbra") == pytest.approx(truth["penumbra"], rel=0.35)


def test_the_labels_are_what_the_volumes_say(analysis: Analysis) -> None:
    stack = phantom().dynamic.mean
    assert analysis.labels is not None
    layers = (analysis.labels, *analysis.overlays)

    for segment in analysis.findings.segments:
        mask = np.any([layer == segment.number for layer in layers], axis=0)
        counted_ml = float((mask.sum(axis=(1, 2)) * stack.voxel_ml).sum())
        assert segment.value("volume_ml") == pytest.approx(counted_ml, abs=0.01)


def test_a_left_lesion_is_left_however_the_columns_are_stored(analysis: Analysis) -> None:
    other = run(case_of(stored_from_left_to_right(phantom().dynamic)))

    for findings in (analysis.findings, other.findings):
        assert {segment.laterality for segment in findings.segments} == {"left"}
        assert findings.side_selection is not None
        assert findings.side_selection.side == "left"
    assert volume(other.findings, "core") == pytest.approx(
        volume(analysis.findings, "core"), rel=0.1
    )


def test_a_right_lesion_is_right() -> None:
    findings = run(case_of(mirrored(phantom().dynamic))).findings

    assert {segment.laterality for segment in findings.segments} == {"right"}


def test_the_maps_have_units_and_lie_on_the_scan(analysis: Analysis) -> None:
    found = {one.key: one for one in analysis.maps}

    assert {key: one.unit for key, one in found.items()} == {
        "cbf": "mL/(100.g)/min",
        "cbv": "mL/(100.g)",
        "mtt": "s",
        "tmax": "s",
        "ttp": "s",
    }
    assert all(one.values.shape == phantom().dynamic.mean.shape for one in analysis.maps)
    assert np.isnan(found["tmax"].values[:, 0, 0]).all()


def test_vessels_motion_and_method_are_told(analysis: Analysis) -> None:
    perfusion = analysis.findings.perfusion

    assert perfusion is not None
    assert perfusion.source == "series"
    assert perfusion.aif is not None
    assert perfusion.vof is not None
    assert perfusion.motion is not None
    assert len(perfusion.motion.times_s) == len(phantom().dynamic.frames)
    assert "HU before" in perfusion.method
    assert {one.trial for one in perfusion.criteria} == {"DEFUSE 3", "DAWN", "EXTEND"}


def test_the_steps_within_the_preparation_are_told_as_they_start() -> None:
    steps: list[str] = []

    run(raw_case(), Request(progress=steps.append))

    within = [step.removeprefix("prepare: ") for step in steps if step.startswith("prepare: ")]
    assert within == ["motion", "noise", "vessels", "deconvolution", "align", "sample"]


def test_an_artery_chosen_by_hand_is_taken() -> None:
    place = phantom().artery_lps
    options = {"aif_lps": tuple(float(one) for one in place)}

    findings = run(raw_case(), Request(options=options)).findings

    assert findings.perfusion is not None
    assert findings.perfusion.aif is not None
    assert findings.perfusion.aif.is_manual
    assert np.linalg.norm(np.array(findings.perfusion.aif.position_lps) - place) < 10.0


def test_an_artery_chosen_in_the_air_is_refused() -> None:
    findings = run(raw_case(), Request(options={"aif_lps": (300.0, 0.0, 0.0)})).findings

    assert findings.rejection is not None
    assert findings.rejection.code == "NO_VESSEL"


def shortened(series: DynamicStack, until_s: float) -> DynamicStack:
    kept = series.times_s[:, 0] <= until_s
    return replace(series, frames=series.frames[kept], times_s=series.times_s[kept])


def thinned(series: DynamicStack, step: int) -> DynamicStack:
    return replace(series, frames=series.frames[::step], times_s=series.times_s[::step])


def without_bolus(series: DynamicStack) -> DynamicStack:
    return replace(series, frames=np.repeat(series.frames[:1], len(series.frames), axis=0))


@pytest.mark.parametrize(
    ("series", "code"),
    [
        (lambda: shortened(phantom().dynamic, 40.0), "SCAN_TOO_SHORT"),
        (lambda: thinned(phantom().dynamic, 3), "SAMPLING_TOO_COARSE"),
        (lambda: without_bolus(phantom().dynamic), "NO_BOLUS"),
    ],
    ids=["short", "coarse", "no bolus"],
)
def test_a_scan_that_can_not_be_read_is_rejected_without_numbers(
    series: type[DynamicStack], code: str
) -> None:
    analysis = run(case_of(series()))

    assert analysis.findings.rejection is not None
    assert analysis.findings.rejection.code == code
    assert analysis.labels is None
    assert analysis.overlays == ()
    assert analysis.maps == ()


def test_ready_maps_are_read_and_their_origin_is_doubted() -> None:
    analysis = run(map_case())
    findings = analysis.findings

    assert findings.status == "succeeded"
    assert findings.perfusion is not None
    assert findings.perfusion.source == "maps"
    assert findings.perfusion.aif is None
    assert "READY_MAPS" in {item.code for item in findings.quality if item.outcome == "warn"}
    assert analysis.reference_role == "tmax"
    assert {one.key: one.is_own for one in analysis.maps} == dict.fromkeys(
        ("cbf", "cbv", "mtt", "tmax"), False
    )


def test_maps_of_tmax_and_cbf_alone_suffice() -> None:
    both = {role: image for role, image in map_case().items() if role in ("tmax", "cbf")}
    findings = run(both).findings

    assert findings.status == "succeeded"
    assert findings.value("cbv_index") is None
    assert findings.value("mismatch_ml") is not None


def test_tmax_without_a_flow_map_is_not_enough() -> None:
    findings = run({"tmax": map_case()["tmax"]}).findings

    assert findings.rejection is not None
    assert findings.rejection.code == "NO_SUITABLE_SERIES"


def test_a_map_in_another_unit_is_refused() -> None:
    case = map_case()
    case["tmax"] = replace(case["tmax"], unit="ms")

    findings = run(case).findings

    assert findings.rejection is not None
    assert findings.rejection.code == "UNSUITABLE_SERIES"


def test_a_head_without_late_tissue_says_that_this_excludes_nothing() -> None:
    case = map_case()
    calm = np.where(case["tmax"].stack.voxels > 0, np.float32(1.5), np.float32(0))
    case["tmax"] = replace(case["tmax"], stack=case["tmax"].stack.with_voxels(calm))

    findings = run(case).findings

    assert findings.status == "succeeded"
    assert [segment.reason for segment in findings.segments] == [NOTHING_FOUND] * 3
    assert findings.side_selection is not None
    assert findings.side_selection.side is None


def test_a_child_is_refused() -> None:
    findings = run(raw_case(patient_age_years=9.0)).findings

    assert findings.rejection is not None
    assert findings.rejection.code == "PATIENT_UNDER_18"


def test_the_predicted_volume_carries_its_interval_and_what_it_rests_on() -> None:
    rule = {"coverage": 0.9, "quantile_sqrt_ml": 2.0, "basis": "calibrated on simulated data"}
    prediction = {**PARAMETERS["prediction"], "interval": rule}
    manifest = draft_manifest(parameters={**PARAMETERS, "prediction": prediction})

    findings = run(map_case(), manifest=manifest).findings

    predicted = findings.segment("predicted_infarct").measurements[0]
    assert predicted.value is not None
    assert predicted.interval is not None
    assert predicted.interval.low < predicted.value < predicted.interval.high
    assert predicted.interval.basis == "calibrated on simulated data"


def test_an_ncct_that_does_not_match_is_left_out_with_a_warning() -> None:
    noise = np.random.default_rng(0).normal(40, 30, phantom().dynamic.mean.shape)
    strange = InputImage(phantom().dynamic.mean.with_voxels(noise.astype(np.float32)), PATIENT)

    findings = run({**raw_case(), "ncct": strange}).findings

    assert findings.status == "succeeded"
    assert "NCCT_LEFT_OUT" in {item.code for item in findings.quality if item.outcome == "warn"}
