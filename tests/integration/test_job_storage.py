"""Jobs in SQLite and PostgreSQL: leases, lanes, superseding, notices, and who wins a race."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

from tests.databases import at_once
from willis_service.adapters.storage import migrations
from willis_service.adapters.storage.database import Database, migrate, open_database
from willis_service.adapters.storage.jobs import SqlJobs
from willis_service.adapters.storage.notices import SqlNotices
from willis_service.adapters.storage.queue_report import SqlQueueReport
from willis_service.adapters.storage.results import ResultFolders
from willis_service.domain.job import (
    ROUTING,
    BundleId,
    Edition,
    Ending,
    Job,
    JobOrder,
    JobState,
    Priority,
    ResultKind,
    Run,
)

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
ORDER = JobOrder("1.2", "toy", BundleId("1.0.0", "a" * 64), "f" * 64, ("a.dcm", "b.dcm"))
DONE = Ending(JobState.SUCCEEDED, (ResultKind.FINDINGS, ResultKind.SR))
FAILED = Ending(JobState.FAILED, (), "WORKER_LOST", "died")
LIVE = {JobState.SUCCEEDED, JobState.REJECTED}


@pytest.fixture
def jobs(database) -> SqlJobs:
    return SqlJobs(database)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def with_images(number: int, **given) -> JobOrder:
    return replace(ORDER, input_fingerprint=f"{number:064x}", **given)


def of_study(number: int, **given) -> JobOrder:
    return with_images(number, study_instance_uid=f"1.2.{number}", **given)


def ordered(jobs: SqlJobs, order: JobOrder, now: datetime = NOW) -> Job:
    return jobs.order(order, now)[0]


def started(jobs: SqlJobs, order: JobOrder, now: datetime = NOW) -> Run:
    run = jobs.claim(ordered(jobs, order, now).id, now)
    assert run is not None
    return run


def ended(jobs: SqlJobs, order: JobOrder, ending: Ending = DONE, now: datetime = NOW) -> Job:
    run = started(jobs, order, now)
    assert jobs.finish(run, ending, now)
    return jobs.get(run.job.id)


# Orders and claims


def test_of_two_that_order_the_same_job_one_makes_it(jobs):
    answers = at_once(2, lambda _: jobs.order(ORDER, NOW))

    assert sorted(is_new for _, is_new in answers) == [False, True]
    assert len({job.id for job, _ in answers}) == 1


def test_of_two_workers_that_claim_a_job_one_gets_it(jobs):
    job = ordered(jobs, ORDER)

    runs = [run for run in at_once(4, lambda _: jobs.claim(job.id, NOW)) if run is not None]

    assert [(run.attempt, run.inputs) for run in runs] == [(1, ("a.dcm", "b.dcm"))]


def test_workers_that_hear_of_work_at_once_get_a_job_each(jobs):
    for number in range(3):
        ordered(jobs, of_study(number))

    runs = at_once(4, lambda _: jobs.claim_next(NOW))

    taken = [run.job.study_instance_uid for run in runs if run is not None]
    assert sorted(taken) == ["1.2.0", "1.2.1", "1.2.2"]


def test_a_job_comes_back_as_it_was_stored(jobs):
    results = (ResultKind.SR, ResultKind.FINDINGS)
    ending = Ending(JobState.REJECTED, results, "NOT_A_HEAD", "A foot.", {"read": 1.5})
    run = started(jobs, ORDER)

    jobs.finish(run, ending, later(9))

    found = jobs.get(run.job.id)
    assert (found.state, found.results, found.error_code) == ("rejected", results, "NOT_A_HEAD")
    assert found.created_at == NOW and found.finished_at - found.started_at == timedelta(seconds=9)
    assert found.timings_s == {"read": 1.5}


def test_an_urgent_job_is_taken_before_every_routine_one_and_then_the_oldest(jobs):
    for number in range(3):
        ordered(jobs, of_study(number), later(number))
    ordered(jobs, of_study(9, priority=Priority.URGENT), later(60))

    taken = [jobs.claim_next(later(61)).job.study_instance_uid for _ in range(4)]

    assert taken == ["1.2.9", "1.2.0", "1.2.1", "1.2.2"]


def test_a_waiting_job_that_is_asked_for_urgently_changes_lanes(jobs):
    ordered(jobs, of_study(1))
    ordered(jobs, of_study(2), later(1))

    again, is_new = jobs.order(of_study(2, priority=Priority.URGENT), later(2))

    assert (again.priority, is_new) == (Priority.URGENT, False)
    assert jobs.claim_next(later(3)).job.id == again.id


def test_a_job_that_was_put_back_waits_for_its_pause_and_not_for_a_clock_that_was_set_back(jobs):
    run = started(jobs, ORDER)
    jobs.release(run.lease, NOW, again_at=later(10))

    assert jobs.claim_next(later(9)) is None
    assert jobs.waiting_since(timedelta(0), later(9)) == []
    an_hour_ago = NOW - timedelta(hours=1)
    assert jobs.waiting_since(timedelta(seconds=30), an_hour_ago) == [run.job.id]
    assert jobs.claim_next(an_hour_ago).job.id == run.job.id


# Leases


def test_the_token_grows_with_each_run_even_over_a_reopening(jobs):
    first = started(jobs, ORDER)
    jobs.release(first.lease, NOW)
    second = jobs.claim(first.job.id, NOW)
    jobs.finish(second, FAILED, NOW)
    jobs.reopen_failed(first.job.id, NOW)

    third = jobs.claim(first.job.id, NOW)

    assert [run.job.token for run in (first, second, third)] == [1, 2, 3]
    assert [run.attempt for run in (first, second, third)] == [1, 2, 1]


def test_a_run_that_lost_its_lease_changes_nothing(jobs):
    stale = started(jobs, ORDER)
    jobs.release(stale.lease, NOW)
    live = jobs.claim(stale.job.id, later(1))

    jobs.beat(stale, later(99), 99.0)
    answers = (
        jobs.note_step(stale, "write", later(99)),
        jobs.release(stale.lease, later(99)),
        jobs.finish(stale, DONE, later(99)),
    )

    (sighting,) = jobs.running()
    assert answers == (False, False, False)
    assert (sighting.token, sighting.heartbeat_at) == (live.job.token, later(1))


def test_a_run_before_a_reopening_is_not_taken_for_the_one_after_it(jobs):
    paused = started(jobs, ORDER)
    (sighting,) = jobs.running()
    jobs.give_up(sighting, FAILED, NOW)
    jobs.reopen_failed(paused.job.id, NOW)
    jobs.claim(paused.job.id, NOW)

    assert not jobs.finish(paused, DONE, NOW)
    assert jobs.get(paused.job.id).state is JobState.RUNNING


def test_of_two_runs_that_finish_at_once_the_live_one_counts(jobs):
    stale = started(jobs, ORDER)
    jobs.release(stale.lease, NOW)
    live = jobs.claim(stale.job.id, NOW)

    answers = at_once(2, lambda n: jobs.finish((stale, live)[n], DONE, NOW))

    assert answers == [False, True]
    assert jobs.edition_of(live.job.id) == str(live.job.token)


def test_an_attempt_that_is_given_back_is_not_spent(jobs):
    run = started(jobs, ORDER)

    jobs.release(run.lease, NOW, is_spent=False)

    assert jobs.get(run.job.id).attempts == 0
    assert jobs.claim(run.job.id, NOW).job.token == 2


# Superseding


def test_a_new_input_supersedes_a_job_that_waits_and_one_that_runs(jobs):
    waiting = ordered(jobs, with_images(1))
    run = started(jobs, with_images(2), later(1))
    newest = ordered(jobs, with_images(3), later(2))

    assert not jobs.note_step(run, "read", later(3))
    assert not jobs.finish(run, DONE, later(3))
    assert [jobs.get(i).state for i in (waiting.id, run.job.id)] == [JobState.SUPERSEDED] * 2
    assert jobs.get(run.job.id).successor_id == newest.id
    assert newest.predecessor_id is None


def test_a_finished_job_stands_until_the_one_that_amends_it_has_a_result(jobs):
    first = ended(jobs, with_images(1))
    run = started(jobs, with_images(2), later(1))

    meanwhile = jobs.get(first.id).state
    jobs.finish(run, DONE, later(2))

    assert (run.job.predecessor_id, meanwhile) == (first.id, JobState.SUCCEEDED)
    retired = jobs.get(first.id)
    assert (retired.state, retired.successor_id) == (JobState.SUPERSEDED, run.job.id)
    assert retired.results == DONE.results and retired.finished_at == NOW


def test_a_finished_job_stands_when_the_one_after_it_fails(jobs):
    first = ended(jobs, with_images(1))

    ended(jobs, with_images(2), FAILED, later(1))

    assert jobs.get(first.id).state is JobState.SUCCEEDED


def test_images_that_come_again_and_again_amend_the_last_result_there_was(jobs):
    first = ended(jobs, with_images(1))
    ordered(jobs, with_images(2), later(1))

    third = ordered(jobs, with_images(3), later(2))

    assert third.predecessor_id == first.id


def test_the_old_input_asked_for_again_is_the_old_job(jobs):
    first = ended(jobs, with_images(1))
    ended(jobs, with_images(2), now=later(1))

    again, is_new = jobs.order(with_images(1), later(2))

    assert (again.id, again.state, is_new) == (first.id, JobState.SUPERSEDED, False)


def test_other_pipelines_other_studies_and_images_without_a_study_are_let_be(jobs):
    others = [
        ordered(jobs, with_images(1, pipeline="other")),
        ordered(jobs, with_images(2, study_instance_uid="9.9")),
        ordered(jobs, with_images(3, study_instance_uid="")),
    ]

    ordered(jobs, with_images(4), later(1))
    ordered(jobs, with_images(5, study_instance_uid=""), later(1))

    assert {jobs.get(job.id).state for job in others} == {JobState.QUEUED}


def test_a_failed_job_is_not_reopened_once_later_images_came(jobs):
    first = ended(jobs, with_images(1), FAILED)
    ordered(jobs, with_images(2), later(1))

    assert jobs.reopen_failed(first.id, later(2)).state is JobState.FAILED


def test_a_clock_that_was_put_back_reverses_no_order(jobs):
    first = ended(jobs, with_images(1), FAILED)
    ordered(jobs, with_images(2), later(-3600))

    second = ended(jobs, with_images(2), FAILED)

    assert jobs.latest_of("1.2", "toy").id == second.id
    assert jobs.reopen_failed(first.id, later(-3500)).state is JobState.FAILED
    assert jobs.reopen_failed(second.id, later(-3500)).state is JobState.QUEUED


@pytest.mark.parametrize("round_", range(8))
def test_of_a_result_and_late_images_at_once_exactly_one_result_lives_in_the_end(jobs, round_):
    run = started(jobs, with_images(1))

    def act(number: int) -> object:
        if number:
            return jobs.order(with_images(2), later(1))[0]
        return jobs.finish(run, DONE, later(1))

    was_first, newer = at_once(2, act)
    jobs.finish(jobs.claim(newer.id, later(2)), DONE, later(3))

    states = {job.id: job.state for job in jobs.recent(9)}
    assert states == {run.job.id: JobState.SUPERSEDED, newer.id: JobState.SUCCEEDED}
    # Whoever came first: a result that was there is amended, one that was not is dropped.
    assert newer.predecessor_id == (run.job.id if was_first else None)


def test_of_many_new_inputs_at_once_one_job_is_left_to_run(jobs):
    at_once(6, lambda n: jobs.order(with_images(n), later(n)))

    states = [job.state for job in jobs.recent(9)]
    assert sorted(states) == [JobState.QUEUED] + [JobState.SUPERSEDED] * 5


# Notices


def publish(database, job: Job, code: str, now: datetime) -> bool:
    notices = SqlNotices(database)
    return notices.publish_notice(job, Edition(job.id, f"n-{code}"), (ResultKind.SR,), code, now)


def test_a_notice_counts_until_there_is_a_result(database, jobs):
    run = started(jobs, ORDER)
    assert publish(database, run.job, "NO_RESULT_IN_TIME", later(1))
    noticed = jobs.get(run.job.id)

    jobs.finish(run, DONE, later(2))

    done = jobs.get(run.job.id)
    assert (noticed.results, noticed.notice_code) == ((ResultKind.SR,), "NO_RESULT_IN_TIME")
    assert (done.results, done.notice_code, done.published_at) == (DONE.results, None, later(2))
    assert jobs.edition_of(run.job.id) == "1"


def test_a_notice_does_not_cover_a_result_that_came_meanwhile(database, jobs):
    run = started(jobs, ORDER)
    seen = jobs.get(run.job.id)
    jobs.finish(run, DONE, later(1))

    assert not publish(database, seen, "NO_RESULT_IN_TIME", later(2))
    assert jobs.edition_of(run.job.id) == "1"


def test_a_notice_does_not_come_between_a_result_and_the_end_of_its_job(database, jobs):
    run = started(jobs, ORDER)
    jobs.note_step(run, "write", later(1))

    assert not publish(database, jobs.get(run.job.id), "NO_RESULT_IN_TIME", later(2))


def test_a_job_that_failed_after_its_notice_needs_one_that_says_so(database, jobs):
    run = started(jobs, ORDER)
    publish(database, run.job, "NO_RESULT_IN_TIME", later(1))
    jobs.finish(run, FAILED, later(2))
    failed = jobs.get(run.job.id)
    unsaid = [job.id for job in SqlNotices(database).without_result()]

    publish(database, failed, FAILED.error_code, later(3))

    assert (failed.results, unsaid) == ((ResultKind.SR,), [run.job.id])
    assert SqlNotices(database).without_result() == []


def test_a_notice_that_stood_for_a_superseded_job_is_amended_by_the_next_one(database, jobs):
    late = ordered(jobs, with_images(1))
    publish(database, late, "NO_RESULT_IN_TIME", later(1))

    newer = ordered(jobs, with_images(2), later(2))

    assert newer.predecessor_id == late.id


def test_a_study_that_could_not_be_routed_has_one_job_until_an_analysis_stands_for_it(
    database, jobs
):
    notices, order = SqlNotices(database), replace(ORDER, pipeline=ROUTING)
    failed = replace(FAILED, error_code="STUDY_NOT_ROUTED")
    first, again = (notices.record_failure(order, failed, NOW) for _ in range(2))

    analysed = ended(jobs, with_images(1), now=later(1))

    assert (first.id, first.state) == (again.id, JobState.FAILED)
    assert analysed.predecessor_id == first.id
    assert jobs.get(first.id).state is JobState.SUPERSEDED


# Numbers


def test_the_queue_is_told_in_numbers(database, jobs):
    ended(jobs, of_study(1))
    run = started(jobs, of_study(2), later(10))
    jobs.finish(run, DONE, later(30))
    ordered(jobs, of_study(3), later(40))
    ordered(jobs, of_study(4, priority=Priority.URGENT), later(50))
    started(jobs, of_study(5), later(60))

    state = SqlQueueReport(database).state(later(100), timedelta(seconds=60))

    lanes = {str(lane): (one.waiting, one.oldest_s) for lane, one in state.lanes.items()}
    assert lanes == {"urgent": (1, 50.0), "routine": (1, 60.0)}
    assert state.states == {"succeeded": 2, "queued": 2, "running": 1}
    assert (state.longest_silence_s, state.usual_run_s, state.workers) == (40.0, 10.0, 0)
    assert (state.backlog_s(tuple(Priority)), state.backlog_s((Priority.URGENT,))) == (20.0, 10.0)


def test_jobs_are_counted_from_the_moment_of_their_ending(database, jobs):
    for number in range(3):
        ended(jobs, of_study(number), now=later(number))

    found = SqlQueueReport(database).ended_since(later(1), 10)

    assert [job.finished_at for job in found] == [later(1), later(2)]


def test_results_from_before_the_editions_are_still_found(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'old.sqlite'}")
    _migrate_to(database, "0001")
    old = "INSERT INTO job VALUES ('j', '1.2', 'toy', '1.0.0', 'a', 'f', '[]', 'succeeded', :now,"
    rest = " NULL, NULL, NULL, NULL, 2, NULL, NULL, NULL, '[\"sr.dcm\"]')"
    with database.write() as connection:
        connection.execute(text(old + rest), {"now": "2026-01-05 08:00:00.000000"})

    migrate(database)

    shelf = ResultFolders(tmp_path, SqlJobs(database).edition_of)
    assert shelf.path("j", ResultKind.SR) == tmp_path / "j" / "sr.dcm"
    assert SqlJobs(database).get("j").token == 2
    database.close()


def test_a_run_is_given_the_roles_and_options_that_were_ordered(jobs):
    order = replace(ORDER, roles=("ctp", "ncct"), options={"aif_lps": [1.5, -2.0, 3.0]})

    run = jobs.claim(ordered(jobs, order).id, NOW)

    assert (run.inputs, run.roles) == (ORDER.inputs, ("ctp", "ncct"))
    assert run.job.options == {"aif_lps": [1.5, -2.0, 3.0]}


def test_an_order_without_roles_and_options_gives_none(jobs):
    run = jobs.claim(ordered(jobs, ORDER).id, NOW)

    assert (run.roles, run.job.options) == ((), {})


def test_a_job_from_before_the_roles_is_claimed_without_them(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'old.sqlite'}")
    _migrate_to(database, "0006")
    columns = (
        "id, study_instance_uid, pipeline, bundle_version, bundle_sha256, input_fingerprint, "
        "inputs, state, created_at, attempts, results"
    )
    old = f"INSERT INTO job ({columns}) VALUES ('j', '1.2', 'toy', '1.0.0', 'a', 'f', "
    with database.write() as connection:
        values = {"now": "2026-01-05 08:00:00.000000"}
        connection.execute(text(old + "'[\"a.dcm\"]', 'queued', :now, 0, '[]')"), values)

    migrate(database)

    run = SqlJobs(database).claim("j", NOW)
    assert run is not None and (run.inputs, run.roles, run.job.options) == (("a.dcm",), (), {})
    database.close()


def _migrate_to(database: Database, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with database.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()
