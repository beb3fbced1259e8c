"""What a person asks of the queue: may more come in, what is stuck, try this again."""

from __future__ import annotations

import pytest

from tests.toy_core import Toy, incoming, toy_core
from willis_models.errors import NotFailed, QueueTooLong, UnknownJob
from willis_service.domain.alarm import AlarmKind
from willis_service.domain.job import (
    ROUTING,
    BundleId,
    Ending,
    Job,
    JobOrder,
    JobState,
    Priority,
)

OBJECTIVE_S = 60.0
DONE = Ending(JobState.SUCCEEDED)
PARKED = Ending(JobState.FAILED, (), "WORKER_LOST", "Each attempt ended its worker.")


@pytest.fixture
def toy(tmp_path):
    return toy_core(tmp_path, objective_s=OBJECTIVE_S, urgent_allowance=2, no_result_after_s=600)


def ordered(toy: Toy, number: int, priority: Priority = Priority.ROUTINE, study: str = "") -> Job:
    bundle = BundleId("1.0.0", "a" * 64)
    study = study or f"1.2.{number}"
    return toy.core.routing.place(
        JobOrder(study, "toy", bundle, f"{number:064x}", ("a.dcm",), priority)
    )


def ended(toy: Toy, job: Job, ending: Ending, after_s: float = 0.0) -> Job:
    run = toy.core.jobs.claim(job.id, toy.clock())
    toy.clock.advance(after_s)
    toy.core.jobs.finish(run, ending, toy.clock())
    return toy.core.jobs.get(job.id)


def usual_run(toy: Toy, seconds: float) -> None:
    ended(toy, ordered(toy, 99), DONE, seconds)


def test_while_what_waits_takes_longer_than_the_objective_more_is_refused(toy):
    admit = toy.queue_desk().admit
    usual_run(toy, 20)
    for number in range(3):
        admit(Priority.ROUTINE)
        ordered(toy, number)
    admit(Priority.ROUTINE)  # 60 s wait: just within the objective
    ordered(toy, 3)

    with pytest.raises(QueueTooLong) as refused:
        admit(Priority.ROUTINE)

    assert refused.value.retry_after_s == 20


def test_urgent_requests_are_held_against_the_urgent_lane_with_its_own_allowance(toy):
    admit = toy.queue_desk().admit
    usual_run(toy, 20)
    for number in range(50):
        ordered(toy, number)
    admit(Priority.URGENT)
    for number in range(50, 57):
        ordered(toy, number, Priority.URGENT)

    with pytest.raises(QueueTooLong):
        admit(Priority.URGENT)


def test_before_anything_ran_nothing_is_refused(toy):
    for number in range(50):
        ordered(toy, number)

    toy.queue_desk().admit(Priority.ROUTINE)


def test_images_from_a_scanner_are_taken_however_much_waits(toy):
    usual_run(toy, 1000)
    ordered(toy, 1)

    assert toy.core.intake.take(incoming())[0] == "stored"
    (alarm,) = toy.queue_desk().alarms(9)
    assert (alarm.kind, alarm.code) == (AlarmKind.BACKLOG, "QUEUE_TOO_LONG")


def test_retry_puts_a_parked_study_back_with_all_its_attempts(toy):
    job = ended(toy, ordered(toy, 1), PARKED)
    toy.queue.analyses.clear()

    again = toy.queue_desk().retry(job.id)

    assert (again.state, again.attempts, again.is_parked) == (JobState.QUEUED, 0, False)
    assert toy.queue.analyses == [job.id]


def test_retry_says_why_not(toy):
    desk = toy.queue_desk()
    waiting = ordered(toy, 1)
    replaced = ended(toy, ordered(toy, 2, study="1.2.9"), PARKED)
    toy.clock.advance(1)
    ordered(toy, 3, study="1.2.9")

    with pytest.raises(NotFailed, match="queued"):
        desk.retry(waiting.id)
    with pytest.raises(NotFailed, match="later job"):
        desk.retry(replaced.id)
    with pytest.raises(UnknownJob):
        desk.retry("nobody")


def test_an_alarm_stands_for_each_thing_without_a_result(toy):
    failed = ended(toy, ordered(toy, 1), PARKED)
    late = ordered(toy, 2)
    toy.core.intake.take(incoming(study="1.2.3"))
    toy.clock.advance(2000)
    ordered(toy, 3)  # in time

    alarms = {alarm.kind: alarm for alarm in toy.queue_desk().alarms(10)}

    assert set(alarms) == set(AlarmKind) - {AlarmKind.BACKLOG}
    assert alarms[AlarmKind.FAILED].job_id == failed.id
    assert alarms[AlarmKind.NO_RESULT].job_id == late.id
    assert alarms[AlarmKind.NOT_ROUTED].study_instance_uid == "1.2.3"


def test_a_study_that_could_not_be_routed_is_no_job_to_retry(toy):
    bundle = BundleId("0", "0" * 64)
    order = JobOrder("1.2", ROUTING, bundle, "f" * 64, ())
    failed = Ending(JobState.FAILED, (), "STUDY_NOT_ROUTED", "No bundle.")
    job = toy.core.notices.record_failure(order, failed, toy.clock())

    with pytest.raises(NotFailed, match="goes on"):
        toy.queue_desk().retry(job.id)
    assert toy.queue_desk().alarms(1)[0].kind is AlarmKind.NOT_ROUTED
