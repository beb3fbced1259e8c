from dataclasses import replace
from datetime import UTC, datetime, timedelta

from willis_service.domain.job import (
    BundleId,
    Job,
    JobOrder,
    JobState,
    Lane,
    Patience,
    Priority,
    QueueState,
    Sighting,
)

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


def run(attempt: int = 1, ran_s: float = 5) -> Sighting:
    return Sighting("j", 7, attempt, NOON, ran_s)


def test_a_worker_is_lost_when_it_was_silent_too_long():
    assert [PATIENCE.is_lost(silent_s) for silent_s in (59.9, 60)] == [False, True]


def test_a_run_that_lived_past_its_deadline_is_overdue_and_one_that_died_early_is_not():
    assert PATIENCE.is_overdue(run(ran_s=601)) and not PATIENCE.is_overdue(run(ran_s=5))


def test_the_last_attempt_is_spent():
    assert [PATIENCE.is_spent(run(attempt=n)) for n in (1, 2, 3)] == [False, False, True]


def test_only_a_job_that_failed_by_ending_its_workers_is_parked():
    identity = ("1.2", "toy", "1.0.0", "a" * 64, "f" * 64)
    job = Job("j", *identity, JobState.FAILED, NOON, error_code="WORKER_LOST")

    others = (replace(job, error_code="STORAGE_FULL"), replace(job, state=JobState.QUEUED))

    assert job.is_parked and not any(other.is_parked for other in others)


def test_a_backlog_is_shared_by_the_workers_and_unknown_while_nothing_ran():
    lanes = {Priority.URGENT: Lane(2), Priority.ROUTINE: Lane(10)}
    two = QueueState(lanes, {}, 0.0, usual_run_s=30.0, workers=2)

    assert two.backlog_s(tuple(Priority)) == 180.0
    assert two.backlog_s((Priority.URGENT,)) == 30.0
    assert replace(two, workers=0).backlog_s((Priority.URGENT,)) == 60.0
    assert replace(two, usual_run_s=None).backlog_s(tuple(Priority)) == 0.0
