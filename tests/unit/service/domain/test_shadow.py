"""What many shadow runs come to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from willis_service.domain.job import BundleId
from willis_service.domain.shadow import ShadowRun, summaries_of

NOW = datetime(2026, 1, 5, tzinfo=UTC)
LIVE, CANDIDATE, OTHER = (BundleId(f"{n}.0.0", str(n) * 64) for n in (1, 2, 3))


def run(number: int, candidate: BundleId = CANDIDATE, **given: Any) -> ShadowRun:
    basis: dict[str, Any] = {
        "job_id": f"job-{number}",
        "pipeline": "toy",
        "live": LIVE,
        "candidate": candidate,
        "at": NOW + timedelta(minutes=number),
        "live_status": "succeeded",
        "candidate_status": "succeeded",
        "live_s": 10.0,
        "candidate_s": 5.0,
    }
    return ShadowRun(**basis | given)


def test_differences_are_summed_up_over_the_studies() -> None:
    runs = [
        run(1, score_changes={"left": 0, "right": -2}, changed_states=2, dice={"a": 0.8, "b": 1.0}),
        run(2, score_changes={"left": 1, "right": None}, changed_states=1, dice={"a": 0.6}),
        run(3, candidate_status=None, candidate_s=None, error_code="GOLDEN_MISMATCH"),
        run(4, candidate_status="rejected", candidate_s=1.0),
    ]

    (found,) = summaries_of(runs)

    assert (found.studies, found.failed, found.other_status) == (4, 1, 1)
    assert (found.scores, found.equal_scores, found.largest_score_change) == (3, 1, -2)
    assert found.mean_score_change == pytest.approx(-1 / 3)
    assert found.mean_changed_states == 1.5
    assert (found.mean_dice, found.lowest_dice) == (pytest.approx(0.75), pytest.approx(0.6))
    assert (found.live_s, found.candidate_s) == (10.0, 5.0)


def test_each_pair_of_versions_stands_for_itself_the_latest_first() -> None:
    found = summaries_of([run(1), run(3, OTHER), run(2)])

    assert [(one.candidate, one.studies) for one in found] == [(OTHER, 1), (CANDIDATE, 2)]


def test_a_candidate_that_always_failed_has_no_figures() -> None:
    (found,) = summaries_of([run(1, candidate_status=None, candidate_s=None, error_code="X")])

    assert (found.mean_dice, found.candidate_s, found.live_s) == (None, None, None)
