"""The one runner: order of the steps, refusals with a reason and no numbers, timings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.unit.models.phantoms import make_stack, shipped_manifest
from willis_models.errors import BrainNotPlausible, GoldenMismatch, InputError
from willis_models.findings import Findings, ModelIdentity, Outcome, QualityItem
from willis_models.manifest import Manifest
from willis_models.pipelines.base import (
    Analysis,
    Assets,
    Case,
    InputImage,
    Interpretation,
    Pipeline,
    Prepared,
    Request,
    Role,
    analyse,
    raise_first_reject,
)

IDENTITY = ModelIdentity(
    name="toy", version="1.0.0", weights_sha256="0" * 64, execution_provider="CPUExecutionProvider"
)


class DoublingPredictor:
    identity = IDENTITY

    def __call__(self, network_input: np.ndarray) -> np.ndarray:
        return network_input * 2


def item(code: str, outcome: Outcome) -> QualityItem:
    return QualityItem(code=code, outcome=outcome, message=f"It is {outcome}.")


def toy(
    checked: QualityItem | None = None,
    prepared: QualityItem | None = None,
    error: Exception | None = None,
) -> Pipeline:
    def check(case: Case, manifest: Manifest) -> tuple[QualityItem, ...]:
        return (checked or item("CHECKED", "pass"),)

    def prepare(case: Case, manifest: Manifest, assets: Assets, request: Request) -> Prepared:
        request.progress("half")
        if error is not None:
            raise error
        image = case["ncct"].stack.voxels.astype(np.float32)[None]
        return Prepared(image, (prepared or item("PREPARED", "warn"),))

    def interpret(
        case: Case, prepared: Prepared, output: np.ndarray, manifest: Manifest, assets: Assets
    ) -> Interpretation:
        findings = Findings(pipeline="toy", status="succeeded", quality=(item("LATE", "pass"),))
        return Interpretation(findings, (output[0] > 1).astype(np.uint8), "ncct")

    return Pipeline("toy", "Toy", (Role("ncct", "CT", "CT"),), check, prepare, interpret)


def run(pipeline: Pipeline, steps: list[str] | None = None) -> Analysis:
    stack = make_stack((3, 4, 5), 1.0, 2.0, field=lambda points: np.ones(points.shape[:-1]))
    case: Mapping[str, Any] = {"ncct": InputImage(stack)}
    progress = steps.append if steps is not None else lambda step: None
    return analyse(
        pipeline, case, shipped_manifest(), {}, DoublingPredictor(), Request(progress=progress)
    )


def codes(analysis: Analysis) -> list[str]:
    return [quality.code for quality in analysis.findings.quality]


def test_the_steps_run_in_order_and_are_timed() -> None:
    steps: list[str] = []

    analysis = run(toy(), steps)

    assert steps == ["check", "prepare", "prepare: half", "predict", "interpret"]
    assert list(analysis.findings.timings_s) == ["check", "prepare", "predict", "interpret"]
    assert all(seconds >= 0 for seconds in analysis.findings.timings_s.values())


def test_a_result_names_its_model_its_limits_and_every_quality_item() -> None:
    analysis = run(toy())

    assert analysis.findings.status == "succeeded"
    assert analysis.findings.model == IDENTITY
    assert analysis.findings.limits == shipped_manifest().limits
    assert codes(analysis) == ["CHECKED", "PREPARED", "LATE"]
    assert analysis.labels is not None
    assert (analysis.labels == 1).all()


@pytest.mark.parametrize(
    ("pipeline", "code", "done"),
    [
        (toy(checked=item("TOO_OLD", "reject")), "TOO_OLD", ["check"]),
        (toy(prepared=item("BLOOD", "reject")), "BLOOD", ["check", "prepare"]),
        (toy(error=BrainNotPlausible("No brain.")), "BRAIN_NOT_PLAUSIBLE", ["check", "prepare"]),
    ],
    ids=["by check", "by prepare", "by an error"],
)
def test_a_rejected_study_has_a_reason_and_no_numbers(
    pipeline: Pipeline, code: str, done: list[str]
) -> None:
    analysis = run(pipeline)

    assert analysis.findings.status == "rejected"
    assert analysis.findings.rejection is not None
    assert analysis.findings.rejection.code == code
    assert analysis.labels is None
    assert analysis.findings.segments == analysis.findings.scores == ()
    assert analysis.findings.model == IDENTITY
    assert list(analysis.findings.timings_s) == done


def test_the_item_that_rejects_is_listed_once() -> None:
    by_item = run(toy(checked=item("TOO_OLD", "reject")))
    by_error = run(toy(error=BrainNotPlausible("No brain.")))

    assert codes(by_item) == ["TOO_OLD"]
    assert codes(by_error) == ["CHECKED", "BRAIN_NOT_PLAUSIBLE"]


def test_the_error_of_a_check_has_the_checks_code() -> None:
    with pytest.raises(InputError) as raised:
        raise_first_reject((item("HEAD", "pass"), item("TOO_OLD", "reject")))

    assert raised.value.code == "TOO_OLD"
    assert InputError.code == "INPUT_ERROR"


def test_of_several_checks_that_reject_the_first_gives_the_code_and_all_are_told() -> None:
    short = QualityItem(code="SHORT", outcome="reject", message="Too short.", value=29.8, unit="s")
    pipeline = replace(toy(), check=lambda case, manifest: (short, item("COARSE", "reject")))

    rejection = run(pipeline).findings.rejection

    assert rejection is not None
    assert (rejection.code, rejection.message) == (
        "SHORT",
        "Too short. Measured: 29.8 s. Also rejected: COARSE.",
    )


@pytest.mark.parametrize("error", [GoldenMismatch("Altered."), ZeroDivisionError()])
def test_what_is_not_the_inputs_fault_leaves_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)):
        run(toy(error=error))
