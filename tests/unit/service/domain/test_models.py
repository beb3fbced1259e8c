"""What follows from the decisions about a model."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from willis_models.errors import ModelConflict
from willis_service.domain.job import BundleId
from willis_service.domain.models import Choice, ModelAction, ModelDecision, choice_of

NOW = datetime(2026, 1, 5, tzinfo=UTC)
FIRST, SECOND, THIRD = (BundleId(f"{n}.0.0", str(n) * 64) for n in (1, 2, 3))


def decided(
    action: ModelAction, bundle: BundleId | None = None, before: BundleId | None = None
) -> ModelDecision:
    return ModelDecision("toy", action, bundle, "me", "because", NOW, before)


def promoted(bundle: BundleId, before: BundleId) -> ModelDecision:
    return decided(ModelAction.PROMOTE, bundle, before)


ROLLED_BACK = decided(ModelAction.ROLL_BACK, FIRST)


def test_without_a_decision_nothing_is_chosen() -> None:
    assert choice_of([]) == Choice()
    assert choice_of([]).live is None


def test_the_last_promotion_is_live() -> None:
    assert choice_of([promoted(SECOND, FIRST), promoted(THIRD, SECOND)]).live == THIRD


def test_a_rollback_goes_back_to_what_was_live_before_anybody_chose() -> None:
    assert choice_of([promoted(SECOND, FIRST), ROLLED_BACK]).live == FIRST


def test_rollbacks_go_back_step_by_step() -> None:
    promotions = [promoted(SECOND, FIRST), promoted(THIRD, SECOND)]

    lives = [choice_of([*promotions, *[ROLLED_BACK] * n]).live for n in range(3)]

    assert lives == [THIRD, SECOND, FIRST]


def test_after_a_rollback_another_promotion_follows_the_version_that_is_live() -> None:
    decisions = [promoted(SECOND, FIRST), ROLLED_BACK, promoted(THIRD, FIRST)]

    assert choice_of(decisions).line == (FIRST, THIRD)


def test_there_is_nothing_before_the_first() -> None:
    for decisions in ([], [promoted(SECOND, FIRST), ROLLED_BACK]):
        with pytest.raises(ModelConflict):
            _ = choice_of(decisions).earlier


def test_a_shadow_stays_until_it_is_ended_replaced_or_promoted() -> None:
    shadow = decided(ModelAction.SHADOW, SECOND)

    assert choice_of([shadow, promoted(THIRD, FIRST)]).shadow == SECOND
    assert choice_of([shadow, decided(ModelAction.SHADOW, THIRD)]).shadow == THIRD
    assert choice_of([shadow, decided(ModelAction.END_SHADOW)]).shadow is None
    assert choice_of([shadow, promoted(SECOND, FIRST)]).shadow is None
