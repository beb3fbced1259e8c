"""What was delivered goes when its time is over; what is owed stays, whatever the disk says."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from tests.delivery_rig import Rig, archive_destination
from willis_service.adapters.storage.arrivals import Arrival, add_arrivals
from willis_service.adapters.storage.retention import SqlHoldings
from willis_service.adapters.storage.tables import DELIVERY, INSTANCE, JOB, STUDY
from willis_service.application.retention import Retain
from willis_service.domain.delivery import Postponed, Refused, Sent
from willis_service.domain.instance import Receipt, StoredInstance, StudyLimits
from willis_service.domain.job import JobState, ResultKind
from willis_service.domain.peers import Destination
from willis_service.domain.retention import Part, Policy

DAY = timedelta(days=1)
BOTH = Policy(instances_after=7 * DAY, results_after=30 * DAY)
PACS = Destination("PACS", "pacs", 104)
LIMITS = StudyLimits(1000, 10**9)


@pytest.fixture
def rig(rig_on_each_database: Rig) -> Rig:
    rig_on_each_database.destinations = [archive_destination(PACS)]
    return rig_on_each_database


def receive(rig: Rig, study: str, count: int = 2, mark: str = "a") -> list[StoredInstance]:
    """Instances on disk and in the index; the study is routed."""
    stored = [instance(rig, study, number, mark) for number in range(count)]
    with rig.database.write() as connection:
        receipts = add_arrivals(connection, [Arrival(one, False, LIMITS) for one in stored])
    assert set(receipts) == {Receipt.STORED}
    return stored


def instance(rig: Rig, study: str, number: int, mark: str) -> StoredInstance:
    place = f"studies/{study}/9/{number}-{mark}.dcm"
    path = rig.folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * 100)
    uids = (study, f"{study}.9", f"{study}.9.{number}")
    sha256 = f"{number:064d}"
    return StoredInstance(*uids, "1.2", "1.2", sha256, place, 100, "CT", rig.clock())


def delivered(rig: Rig, study: str, name: str = "") -> str:
    """A study with its images, and a job whose results the archive has confirmed."""
    receive(rig, study)
    job = rig.job(name or study, study_instance_uid=study)
    rig.plan()
    settle(rig, job, Sent())
    return job


def settle(rig: Rig, job: str, outcome, due=None) -> None:  # type: ignore[no-untyped-def]
    for one in rig.outbox.claim("pacs", "c1", rig.clock(), rig.clock() + timedelta(minutes=1)):
        assert one.job_id == job
        rig.outbox.settle(one.id, "c1", outcome, rig.clock(), due)


def retain(rig: Rig, policy: Policy = BOTH, free: int = 10**12) -> Retain:
    return Retain(SqlHoldings(rig.database, rig.folder), policy, lambda: free, rig.clock)


def images(rig: Rig, study: str) -> list[Path]:
    return sorted((rig.folder / "studies" / study).rglob("*.dcm"))


def has_results(rig: Rig, job: str) -> bool:
    return (rig.folder / "results" / job).exists()


def test_images_and_results_go_when_their_own_time_is_over(rig):
    job = delivered(rig, "1.2.1")

    rig.clock.now += 6.9 * DAY
    assert retain(rig)() == 0
    rig.clock.now += 0.2 * DAY
    assert retain(rig)() == 1
    assert (images(rig, "1.2.1"), has_results(rig, job)) == ([], True)
    rig.clock.now += 23 * DAY
    assert retain(rig)() == 1

    assert not has_results(rig, job)
    assert rig.jobs.get(job).results == ()
    assert rig.jobs.get(job).results_purged_at == rig.clock()
    assert retain(rig)() == 0


def test_nothing_is_removed_unless_somebody_asks_for_it(rig):
    delivered(rig, "1.2.1")
    rig.clock.now += 10_000 * DAY

    assert retain(rig, Policy(), free=0)() == 0
    assert len(images(rig, "1.2.1")) == 2


def owed(rig: Rig, how: str) -> str:
    receive(rig, "1.2.1")
    job = rig.job("one", study_instance_uid="1.2.1")
    if how == "not planned":
        return job
    rig.plan()
    if how == "refused":
        settle(rig, job, Refused("0xC000", "no"))
    elif how == "waiting":
        settle(rig, job, Postponed("UNREACHABLE", "down"), rig.clock())
    elif how == "sending":
        rig.outbox.claim("pacs", "c1", rig.clock(), rig.clock())
    elif how == "uncommitted":
        settle(rig, job, Sent(), rig.clock())
    elif how in ("running", "failed"):
        settle(rig, job, Sent())
        rig.change_job(job, state=JobState.RUNNING if how == "running" else JobState.FAILED)
    elif how == "open":
        settle(rig, job, Sent())
        with rig.database.write() as connection:
            connection.execute(update(STUDY).values(open_since=rig.clock()))
    return job


WHY = {
    "not planned": "its deliveries are not planned yet",
    "planned": "not delivered to pacs (planned)",
    "sending": "not delivered to pacs (sending)",
    "waiting": "not delivered to pacs (waiting)",
    "refused": "not delivered to pacs (refused)",
    "uncommitted": "pacs has not vouched for it",
    "running": "a job is not finished",
    "failed": "the notice of a failure is not written yet",
    "open": "its images are not routed yet",
}


@pytest.mark.parametrize("how", WHY)
def test_a_full_disk_and_old_age_never_touch_what_is_owed_or_in_work(rig, how):
    job = owed(rig, how)
    rig.clock.now += 1000 * DAY
    pressed = retain(rig, replace(BOTH, free_bytes=10**12), free=0)

    assert pressed() == 0

    assert len(images(rig, "1.2.1")) == 2 and has_results(rig, job)
    assert {verdict.reason for verdict in pressed.verdicts(to_the_end=True)} == {WHY[how]}


def test_what_a_person_dropped_is_owed_no_more(rig):
    owed(rig, "refused")
    for row in rig.rows():
        rig.desk.drop(row.id)
    rig.clock.now += 8 * DAY

    assert retain(rig)() == 1
    assert images(rig, "1.2.1") == []


def test_when_space_is_short_the_oldest_go_first_and_no_more_than_needed(rig):
    for number in range(4):
        delivered(rig, f"1.2.{number}")
        rig.clock.now += DAY

    removed = retain(rig, Policy(free_bytes=1000), free=700)()

    assert removed == 2  # 200 bytes each
    assert [bool(images(rig, f"1.2.{number}")) for number in range(4)] == [False, False, True, True]


def test_space_is_no_reason_to_remove_results(rig):
    job = delivered(rig, "1.2.1")

    retain(rig, Policy(free_bytes=1000), free=0)()

    assert (images(rig, "1.2.1"), has_results(rig, job)) == ([], True)


def test_a_dry_run_removes_nothing_and_says_why_the_rest_stays(rig):
    delivered(rig, "1.2.1")
    rig.clock.now += 8 * DAY
    delivered(rig, "1.2.2")
    retaining = retain(rig)

    verdicts = [
        (v.holding.study_instance_uid, v.part, v.goes, v.reason)
        for v in retaining.verdicts(to_the_end=True)
    ]

    assert verdicts == [
        ("1.2.1", Part.INSTANCES, True, "kept for its time"),
        ("1.2.1", Part.RESULTS, False, "not due"),
        ("1.2.2", Part.INSTANCES, False, "not due"),
        ("1.2.2", Part.RESULTS, False, "not due"),
    ]
    assert len(images(rig, "1.2.1")) == 2


def test_an_image_that_comes_again_after_it_was_removed_is_stored_anew(rig):
    delivered(rig, "1.2.1")
    rig.clock.now += 8 * DAY
    retain(rig)()
    assert images(rig, "1.2.1") == []

    receive(rig, "1.2.1", mark="b")

    assert len(images(rig, "1.2.1")) == 2
    rig.clock.now += 8 * DAY
    assert retain(rig)() == 1  # and it goes again in its time
    assert images(rig, "1.2.1") == []


def test_a_study_that_moved_on_between_the_look_and_the_removal_stays(rig):
    delivered(rig, "1.2.1")
    rig.clock.now += 8 * DAY
    holdings = SqlHoldings(rig.database, rig.folder)
    (seen,) = list(holdings.oldest_first())

    late = replace(instance(rig, "1.2.1", 7, "late"), received_at=rig.clock())
    with rig.database.write() as connection:
        add_arrivals(connection, [Arrival(late, True, LIMITS)])

    assert not holdings.remove(seen, Part.INSTANCES, rig.clock())
    assert len(images(rig, "1.2.1")) == 3


def test_files_that_a_crash_left_behind_are_swept(rig):
    delivered(rig, "1.2.1")
    rig.clock.now += 8 * DAY
    with rig.database.write() as connection:  # the row was committed, the files were not removed
        connection.execute(update(INSTANCE).values(purged_at=rig.clock()))

    assert SqlHoldings(rig.database, rig.folder).sweep(rig.clock()) == 2
    assert images(rig, "1.2.1") == []


def test_results_without_a_study_go_in_their_time(rig):
    job = rig.job("image", [ResultKind.FINDINGS], study_instance_uid="")
    rig.destinations = []
    rig.plan()
    rig.clock.now += 31 * DAY

    assert retain(rig)() == 1
    assert not has_results(rig, job)


def test_a_study_that_nobody_asked_to_analyse_goes_by_age(rig):
    receive(rig, "1.2.1")
    rig.clock.now += 8 * DAY

    assert retain(rig)() == 1


def test_many_blocked_studies_do_not_hide_the_others(rig):
    with rig.database.write() as connection:
        for number in range(450):
            values = {"first_received_at": rig.clock(), "last_instance_at": rig.clock()}
            row = {"study_instance_uid": f"9.{number}", "open_since": rig.clock(), **values}
            connection.execute(insert(STUDY).values(instance_count=0, size_bytes=0, **row))
    rig.clock.now += timedelta(seconds=1)
    delivered(rig, "1.2.1")
    rig.clock.now += 8 * DAY

    assert retain(rig)() == 1


def test_rows_stay_and_say_what_was_removed(rig):
    delivered(rig, "1.2.1")
    rig.clock.now += 8 * DAY
    retain(rig)()

    with rig.database.read() as connection:
        purged = connection.execute(select(INSTANCE.c.purged_at)).scalars().all()
        rows = connection.execute(select(DELIVERY.c.state)).scalars().all()
        jobs = connection.execute(select(JOB.c.id)).scalars().all()
    assert purged == [rig.clock()] * 2
    assert (rows, len(jobs)) == (["sent", "sent"], 1)
    assert os.listdir(rig.folder / "studies") == [] if (rig.folder / "studies").exists() else True
