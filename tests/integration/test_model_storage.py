"""Decisions and shadow runs in the database, SQLite and PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.databases import at_once
from willis_service.adapters.storage.models import SqlModelRecord, SqlShadowBook
from willis_service.domain.job import BundleId
from willis_service.domain.models import ModelAction, ModelDecision, choice_of
from willis_service.domain.shadow import ShadowRun

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
LIVE, CANDIDATE = BundleId("1.0.0", "a" * 64), BundleId("2.0.0", "b" * 64)
PROMOTION = ModelDecision(
    "toy", ModelAction.PROMOTE, CANDIDATE, "ada@host", "better", NOW, before=LIVE
)
RUN = ShadowRun(
    job_id="job-1",
    pipeline="toy",
    live=LIVE,
    candidate=CANDIDATE,
    at=NOW,
    live_status="succeeded",
    live_s=9.5,
    candidate_status="succeeded",
    candidate_s=4.25,
    score_changes={"left": -1, "right": None},
    changed_states=2,
    dice={"left_M1": 0.75},
)


def test_a_decision_comes_back_as_it_was_made(database):
    record = SqlModelRecord(database)
    ended = replace(PROMOTION, action=ModelAction.END_SHADOW, bundle=None, before=None)

    record.decide("toy", lambda _: PROMOTION)
    record.decide("toy", lambda _: ended)

    assert record.decisions("toy") == [PROMOTION, ended]
    assert record.decisions("aspects") == []


def test_a_decision_that_fails_leaves_no_trace(database):
    def refuse(_: Sequence[ModelDecision]) -> ModelDecision:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        SqlModelRecord(database).decide("toy", refuse)

    assert SqlModelRecord(database).decisions("toy") == []


def test_each_of_many_at_once_decides_in_view_of_those_before_it(database):
    record = SqlModelRecord(database)

    def promote_next(_number: int) -> None:
        def make(earlier: Sequence[ModelDecision]) -> ModelDecision:
            live = choice_of(earlier).live or LIVE
            following = BundleId(f"{len(earlier) + 2}.0.0", "c" * 64)
            return replace(PROMOTION, bundle=following, before=live)

        record.decide("toy", make)

    at_once(4, promote_next)

    versions = [one.version for one in choice_of(record.decisions("toy")).line]
    assert versions == ["1.0.0", "2.0.0", "3.0.0", "4.0.0", "5.0.0"]


def test_a_shadow_run_comes_back_as_it_was_and_once_for_each_job(database):
    book = SqlShadowBook(database)
    failed = replace(
        RUN, candidate_status=None, candidate_s=None, error_code="X", dice={}, score_changes={}
    )

    book.record(failed)
    book.record(RUN)
    later = replace(RUN, job_id="job-2", at=NOW + timedelta(minutes=1))
    book.record(later)

    assert book.runs("toy") == [later, RUN]
