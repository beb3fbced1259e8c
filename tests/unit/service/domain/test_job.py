from dataclasses import replace
from datetime import UTC, datetime, timedelta

from willis_service.domain.job import BundleId, JobOrder, JobState, Patience, Sighting

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
ORDER = JobOrder("1.2", "toy", BundleId("1.0.0", "a" * 64), "f" * 64, ("a.dcm",))
PATIENCE = Patience(timedelta(seconds=60), timedelta(seconds=600), 3)


def test_the_same_order_has_the_same_id_and_another_model_or_input_another():
    others = {
        ORDER.job_id,
        replace(ORDER, pipeline="other").job_id,
        replace(ORDER, bundle=BundleId("1.0.0", "b" * 64)).job_id,
        replace(ORDER, input_fingerprint="e" * 64).job_id,
    }

    assert replace(ORDER, inputs=("elsewhere.dcm",)).job_id == ORDER.job_id
    assert len(others) == 4


def test_only_the_states_that_nothing_follows_are_final():
    final = {state for state in JobState if state.is_final}

    assert final == {"succeeded", "rejected", "failed", "superseded"}


def test_a_worker_is_lost_when_it_was_silent_too_long():
    run = Sighting("j", 1, NOON, NOON + timedelta(seconds=30))

    assert not PATIENCE.is_lost(run, NOON + timedelta(seconds=89))
    assert PATIENCE.is_lost(run, NOON + timedelta(seconds=90))


def test_a_run_that_lived_past_its_deadline_is_overdue_and_one_that_died_early_is_not():
    hung = Sighting("j", 1, NOON, NOON + timedelta(seconds=601))
    died = Sighting("j", 1, NOON, NOON + timedelta(seconds=5))

    assert PATIENCE.is_overdue(hung) and not PATIENCE.is_overdue(died)


def test_the_last_attempt_is_spent():
    assert [PATIENCE.is_spent(Sighting("j", n, NOON, NOON)) for n in (1, 2, 3)] == [0, 0, 1]
