"""What the broker and dead workers lost comes back, and a clock that jumps loses nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.toy_core import Toy, toy_core
from willis_service.application.reconcile import HINT_AGE
from willis_service.application.watch import Watch
from willis_service.domain.job import BundleId, JobOrder, JobState, Run

LOST_S = 60.0
HINT_S = HINT_AGE.total_seconds()


@pytest.fixture
def toy(tmp_path):
    return toy_core(tmp_path, worker_lost_after_s=LOST_S)


def ordered(toy: Toy, number: int = 1) -> str:
    bundle = BundleId("1.0.0", "a" * 64)
    order = JobOrder(f"1.2.{number}", "toy", bundle, f"{number:064x}", ("a.dcm",))
    return toy.core.routing.place(order).id


def claimed(toy: Toy, job_id: str) -> Run:
    run = toy.core.jobs.claim(job_id, toy.clock())
    assert run is not None
    return run


def state(toy: Toy, job_id: str) -> JobState:
    return toy.core.jobs.get(job_id).state


def test_a_job_whose_hint_the_broker_lost_is_hinted_at_again(toy):
    job_id, reconcile = ordered(toy), toy.reconciler()
    toy.queue.analyses.clear()

    toy.clock.advance(HINT_S - 1)
    reconcile()
    early = list(toy.queue.analyses)
    toy.clock.advance(1)
    reconcile()

    assert (early, toy.queue.analyses) == ([], [job_id])


def test_a_job_that_was_ordered_while_the_broker_was_away_gets_its_hint(toy):
    toy.queue.is_away = True
    job_id, reconcile = ordered(toy), toy.reconciler()
    toy.queue.is_away = False
    toy.clock.advance(HINT_S)

    reconcile()

    assert toy.queue.analyses == [job_id]


def test_there_are_never_more_hints_than_jobs_that_wait(toy):
    ids, reconcile = [ordered(toy, number) for number in range(4)], toy.reconciler()
    del toy.queue.analyses[1:]  # the broker lost three of four

    for _ in range(5):
        toy.clock.advance(HINT_S)
        reconcile()

    assert len(toy.queue.analyses) == len(ids)


def test_a_lost_hint_is_seen_after_the_clock_was_set_back(toy):
    job_id, reconcile = ordered(toy), toy.reconciler()
    toy.queue.analyses.clear()

    toy.clock.advance(-3600)
    reconcile()

    assert toy.queue.analyses == [job_id]


def test_a_job_whose_worker_fell_silent_is_taken_up_and_parked_after_three_deaths(toy):
    job_id, reconcile = ordered(toy), toy.reconciler()
    states = []
    for _ in range(3):
        claimed(toy, job_id)
        reconcile()
        toy.clock.advance(LOST_S)
        reconcile()
        states.append(state(toy, job_id))

    job = toy.core.jobs.get(job_id)
    assert states == [JobState.QUEUED, JobState.QUEUED, JobState.FAILED]
    assert (job.error_code, job.is_parked) == ("WORKER_LOST", True)
    assert "parked" in job.error_message


def test_a_run_that_shows_life_is_left_alone(toy):
    job_id, reconcile = ordered(toy), toy.reconciler()
    run = claimed(toy, job_id)
    for _ in range(20):
        toy.clock.advance(LOST_S / 2)
        toy.core.jobs.beat(run, toy.clock(), 5.0)
        reconcile()

    assert state(toy, job_id) is JobState.RUNNING


def test_a_run_that_hung_past_its_deadline_is_not_tried_again(toy):
    job_id, reconcile = ordered(toy), toy.reconciler()
    run = claimed(toy, job_id)
    toy.core.jobs.beat(run, toy.clock(), toy.core.settings.deadline_s)
    reconcile()
    toy.clock.advance(LOST_S)

    reconcile()

    job = toy.core.jobs.get(job_id)
    assert (job.state, job.error_code) == (JobState.FAILED, "DEADLINE_EXCEEDED")


@pytest.mark.parametrize("jump_s", [3600, -3600])
def test_a_clock_that_jumps_an_hour_ends_no_healthy_run_and_hides_no_dead_one(toy, jump_s):
    passed_s = [0.0]
    reconcile = replace(toy.reconciler(), watch=Watch(lambda: passed_s[0]))
    job_id = ordered(toy)
    run = claimed(toy, job_id)
    reconcile()

    toy.clock.advance(jump_s)
    reconcile()
    toy.core.jobs.beat(run, toy.clock(), 5.0)
    states = []
    for seconds in (0, LOST_S - 1, 1):
        passed_s[0] += seconds
        reconcile()
        states.append(state(toy, job_id))

    assert states == [JobState.RUNNING, JobState.RUNNING, JobState.QUEUED]


def test_a_run_that_died_long_before_the_keeper_started_is_taken_up_in_half_the_time(toy):
    job_id = ordered(toy)
    claimed(toy, job_id)
    toy.clock.advance(3600)
    reconcile = toy.reconciler()

    reconcile()
    first = state(toy, job_id)
    toy.clock.advance(LOST_S / 2)
    reconcile()

    assert (first, state(toy, job_id)) == (JobState.RUNNING, JobState.QUEUED)
