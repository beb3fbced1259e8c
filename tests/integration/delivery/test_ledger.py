"""The ledger on both databases: planned once, claimed by one, kept up with the jobs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.databases import at_once
from tests.delivery_rig import Rig, archive_destination
from willis_service.domain.delivery import Postponed, Refused, Sent
from willis_service.domain.destinations import DicomTarget, ResultDestination, Wanted
from willis_service.domain.job import JobState, ResultKind
from willis_service.domain.peers import Destination

PACS = Destination("PACS", "pacs", 104)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def rig(rig_on_each_database: Rig) -> Rig:
    rig_on_each_database.destinations = [archive_destination(PACS)]
    return rig_on_each_database


def claim(rig: Rig, courier: str = "c1"):  # type: ignore[no-untyped-def]
    return rig.outbox.claim("pacs", courier, rig.clock(), rig.clock() + MINUTE)


def settle_all(rig: Rig, outcome, due=None) -> None:  # type: ignore[no-untyped-def]
    for one in claim(rig):
        rig.outbox.settle(one.id, "c1", outcome, rig.clock(), due)


def test_results_are_planned_once_however_often_and_by_how_many(rig):
    rig.job()

    at_once(4, lambda _: rig.plan())
    rig.plan()

    assert rig.states() == {"SEG": "planned", "SR": "planned"}
    assert len(rig.rows()) == 2


def test_a_job_without_results_waits_for_its_notice(rig):
    job = rig.job(kinds=(), state=JobState.FAILED, edition=None, published_at=None)
    rig.plan()
    assert rig.rows() == []

    rig.republish(job, "notice", [ResultKind.SR])
    rig.change_job(job, edition="notice", notice_code="WORKER_LOST")
    rig.plan()

    assert rig.states() == {"SR": "planned"}


def test_a_notice_about_a_job_that_still_runs_is_sent_as_well(rig):
    rig.job(kinds=[ResultKind.SR], state=JobState.RUNNING, notice_code="NO_RESULT_IN_TIME")

    rig.plan()

    assert rig.states() == {"SR": "planned"}


def test_a_new_edition_takes_the_place_of_what_has_not_left(rig):
    job = rig.job("notice", [ResultKind.SR])
    rig.plan()
    rig.clock.advance(60)

    rig.republish(job, "result")
    rig.plan()

    assert {(r.kind.name, r.state.value) for r in rig.rows()} == {
        ("SR", "withdrawn"),
        ("SEG", "planned"),
        ("SR", "planned"),
    }


def test_a_superseded_job_that_was_not_sent_is_not_sent(rig):
    planned, unplanned = rig.job("planned"), rig.job("unplanned", state=JobState.SUPERSEDED)
    rig.plan()

    rig.change_job(planned, state=JobState.SUPERSEDED)
    rig.plan()

    assert {row.state.value for row in rig.rows(job_id=planned)} == {"withdrawn"}
    assert rig.rows(job_id=unplanned) == []
    assert claim(rig) == []


def test_what_was_sent_before_it_was_superseded_stays_sent(rig):
    job = rig.job()
    rig.plan()
    settle_all(rig, Sent())

    rig.change_job(job, state=JobState.SUPERSEDED)
    rig.plan()

    assert rig.states() == {"SEG": "sent", "SR": "sent"}


def test_an_amended_result_is_sent_to_who_has_the_first(rig):
    first = rig.job("first")
    rig.plan()
    settle_all(rig, Sent())
    rig.clock.advance(60)
    second = rig.job("second", predecessor_id=first)
    rig.change_job(first, state=JobState.SUPERSEDED, successor_id=second)

    rig.plan()

    assert {one.job_id for one in claim(rig)} == {second}
    assert rig.states(job_id=first) == {"SEG": "sent", "SR": "sent"}


def test_of_two_couriers_one_gets_the_objects_of_a_job(rig):
    rig.job()
    rig.plan()

    taken = at_once(4, lambda number: claim(rig, f"c{number}"))

    assert sorted(len(one) for one in taken) == [0, 0, 0, 2]


def test_a_lease_ends_unless_its_courier_lives(rig):
    rig.job()
    rig.plan()
    claim(rig, "c1")
    rig.clock.advance(50)
    rig.outbox.keep("c1", rig.clock() + MINUTE)

    rig.clock.advance(50)
    assert claim(rig, "c2") == []
    rig.clock.advance(11)
    assert len(claim(rig, "c2")) == 2


def test_a_courier_that_leaves_gives_back_what_it_has(rig):
    rig.job()
    rig.plan()
    claim(rig, "c1")

    rig.outbox.release("c1", rig.clock())

    assert [one.attempts for one in claim(rig, "c2")] == [2, 2]


def test_a_confirmation_counts_even_after_the_lease_was_lost(rig):
    rig.job()
    rig.plan()
    first, _second = claim(rig, "c1")
    rig.clock.advance(61)
    claim(rig, "c2")

    rig.outbox.settle(first.id, "c1", Sent(), rig.clock(), None)
    rig.outbox.settle(first.id, "c2", Postponed("NO_ANSWER", "?"), rig.clock(), rig.clock())

    assert rig.book.get(first.id).state == "sent"


def test_who_lost_the_lease_can_not_postpone_or_refuse(rig):
    rig.job()
    rig.plan()
    first, _second = claim(rig, "c1")
    rig.clock.advance(61)
    claim(rig, "c2")

    rig.outbox.settle(first.id, "c1", Refused("0xC000", "no"), rig.clock(), None)

    assert rig.book.get(first.id).state == "sending"


_MINUTES_AND_HOURS = pytest.mark.parametrize("back_s", [600, 3600, 6 * 3600])


@_MINUTES_AND_HOURS
def test_a_clock_that_goes_back_delays_nothing_that_was_planned(rig, back_s):
    rig.job()
    rig.plan()

    rig.clock.advance(-back_s)

    assert len(claim(rig)) == 2


@_MINUTES_AND_HOURS
def test_a_clock_that_goes_back_delays_nothing_that_was_tried(rig, back_s):
    rig.job()
    rig.plan()
    settle_all(rig, Postponed("0xA700", "full"), rig.clock() + MINUTE)

    rig.clock.advance(-back_s)

    assert len(claim(rig)) == 2


@_MINUTES_AND_HOURS
def test_a_clock_that_goes_back_keeps_no_lease_alive(rig, back_s):
    rig.job()
    rig.plan()
    claim(rig, "c1")

    rig.clock.advance(-back_s)

    assert len(claim(rig, "c2")) == 2


def test_clocks_of_two_machines_that_differ_a_little_break_no_lease_and_no_pause(rig):
    rig.job()
    rig.plan()
    (first, _second) = claim(rig, "c1")
    rig.outbox.settle(
        first.id, "c1", Postponed("0xA700", "full"), rig.clock(), rig.clock() + MINUTE
    )

    rig.clock.advance(-20)

    assert claim(rig, "c2") == []


def test_other_destinations_are_not_touched(rig):
    rig.destinations = [archive_destination(PACS), archive_destination(PACS, "vna")]
    rig.job()
    rig.plan()

    settle_all(rig, Sent())

    assert rig.states(destination="vna") == {"SEG": "planned", "SR": "planned"}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(), {"SEG", "SR"}),
        (Wanted(pipelines=("infarct",)), set()),
        (Wanted(states=(JobState.REJECTED,)), set()),
        (Wanted(kinds=(ResultKind.SR,)), {"SR"}),
        (Wanted(urgent_only=True), set()),
        (Wanted(senders=("CT1",)), set()),
    ],
)
def test_a_destination_gets_what_it_wants(rig, wanted, expected):
    rig.destinations = [ResultDestination("pacs", DicomTarget(PACS), wanted)]
    rig.job()

    rig.plan()

    assert set(rig.states()) == expected


def test_a_result_that_can_not_be_read_is_planned_once_it_can(rig, capsys):
    job = rig.job()
    path, hidden = rig.shelf.path(job, ResultKind.SR), rig.folder / "hidden"
    path.rename(hidden)
    plan = rig.plan
    plan()
    plan()
    assert rig.rows() == []
    assert capsys.readouterr().out.count("delivery_not_planned") == 1

    hidden.rename(path)
    plan()

    assert rig.states() == {"SEG": "planned", "SR": "planned"}
