"""Findings: a rejection has a reason and no numbers; every number has a code."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from willis_models.findings import Findings, Measurement, Rejection, SideScore

REASON = Rejection(code="BRAIN_NOT_PLAUSIBLE", message="No brain.")
SCORE = SideScore(
    side="left", score=9, lowest=9, highest=9, affected=("M1",), indeterminate=(), not_assessable=()
)


def test_rejected_findings_need_a_reason() -> None:
    with pytest.raises(ValidationError, match="rejection"):
        Findings(pipeline="aspects", status="rejected")


def test_rejected_findings_carry_no_numbers() -> None:
    with pytest.raises(ValidationError, match="no numbers"):
        Findings(pipeline="aspects", status="rejected", rejection=REASON, scores=(SCORE,))


def test_findings_of_a_failed_analysis_have_a_reason_and_no_numbers() -> None:
    assert Findings(pipeline="aspects", status="failed", rejection=REASON).scores == ()
    with pytest.raises(ValidationError, match="rejection"):
        Findings(pipeline="aspects", status="failed")
    with pytest.raises(ValidationError, match="no numbers"):
        Findings(pipeline="aspects", status="failed", rejection=REASON, scores=(SCORE,))


def test_successful_findings_carry_no_rejection() -> None:
    with pytest.raises(ValidationError, match="rejection"):
        Findings(pipeline="aspects", status="succeeded", rejection=REASON)


@pytest.mark.parametrize(("key", "unit"), [("shoe_size", "1"), ("volume_ml", "gallon")])
def test_a_measurement_without_a_declared_code_is_refused(key: str, unit: str) -> None:
    with pytest.raises(ValidationError, match="no declared code"):
        Measurement(key=key, value=1.0, unit=unit)


def test_an_infinite_measurement_is_refused() -> None:
    with pytest.raises(ValidationError, match="finite"):
        Measurement(key="ratio", value=float("inf"), unit="{ratio}")


def test_scores_and_segments_are_found_by_name() -> None:
    findings = Findings(pipeline="aspects", status="succeeded", scores=(SCORE,))

    assert findings.score("left") is SCORE
    assert findings.score("right") is None
    with pytest.raises(KeyError):
        findings.segment("left_M1")
