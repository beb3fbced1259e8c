from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from tests.hand_clock import START, HandClock
from willis_models.errors import DestinationRefused, DestinationUnreachable, UnknownRequester
from willis_service.application.commitment import AnswerCommitments, Custody, TakeCommitment
from willis_service.domain.commitment import (
    CommitmentReport,
    CommitmentRequest,
    CommitmentState,
    FailureReason,
    Reference,
    StoredCommitment,
)
from willis_service.domain.instance import StoredInstance
from willis_service.domain.peers import Destination

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
PACS = Destination("PACS", "pacs.local", 104)
REQUEST = CommitmentRequest("1.2.99", "PACS", "10.0.0.1", (Reference(CT, "1.1"),))


def stored(sop: str, sop_class: str = CT) -> StoredInstance:
    return StoredInstance("1", "1.9", sop, sop_class, "1.2", "a" * 64, "p", 1, "CT", START)


@dataclass
class MemoryBook:
    """Requests in a list."""

    kept: list[StoredCommitment] = field(default_factory=list)

    def store(self, request: CommitmentRequest, now: datetime) -> None:
        self.kept.append(StoredCommitment(len(self.kept), request, now))

    def due(self, now: datetime) -> list[StoredCommitment]:
        return [
            one
            for one in self.kept
            if one.state is CommitmentState.WAITING
            and (one.next_attempt_at is None or one.next_attempt_at <= now)
        ]

    def postpone(self, commitment: StoredCommitment, until: datetime) -> None:
        attempts = commitment.attempts + 1
        self.kept[commitment.id] = replace(commitment, attempts=attempts, next_attempt_at=until)

    def finish(self, commitment: StoredCommitment, state: CommitmentState, now: datetime) -> None:
        self.kept[commitment.id] = replace(commitment, state=state)


@dataclass
class Peer:
    """A requester that takes reports, unless it is told to fail."""

    failure: Exception | None = None
    reports: list[CommitmentReport] = field(default_factory=list)

    def __call__(self, report: CommitmentReport, destination: Destination) -> None:
        if self.failure is not None:
            raise self.failure
        self.reports.append(report)


@dataclass
class Rig:
    """The use cases over memory; ``held`` says what is here, ``damaged`` what is not whole."""

    book: MemoryBook = field(default_factory=MemoryBook)
    peer: Peer = field(default_factory=Peer)
    clock: HandClock = field(default_factory=HandClock)
    held: list[StoredInstance] = field(default_factory=lambda: [stored("1.1")])
    damaged: set[str] = field(default_factory=set)
    peers: dict[str, Destination] = field(default_factory=lambda: {"PACS": PACS})

    def take(self, request: CommitmentRequest = REQUEST) -> None:
        TakeCommitment(self.book, self.peers, self.clock)(request)

    def answer(self) -> int:
        custody = Custody(
            lambda sop: [one for one in self.held if one.sop_instance_uid == sop],
            lambda one: one.sop_instance_uid not in self.damaged,
        )
        day = timedelta(days=1)
        return AnswerCommitments(self.book, custody, self.peer, self.peers, day, self.clock)()

    def state(self) -> CommitmentState:
        return self.book.kept[0].state


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_what_is_here_and_whole_is_committed(rig):
    rig.take()

    rig.answer()

    [report] = rig.peer.reports
    assert (report.event_type, report.transaction_uid) == (1, "1.2.99")
    assert report.committed == REQUEST.references
    assert rig.state() is CommitmentState.REPORTED


def test_each_failure_has_its_reason_and_the_rest_is_committed(rig):
    rig.held = [stored("1.1"), stored("1.2"), stored("1.3")]
    rig.damaged = {"1.3"}
    wanted = (Reference(CT, "1.1"), Reference(MR, "1.2"), Reference(CT, "1.3"), Reference(CT, "9"))
    rig.take(replace(REQUEST, references=wanted))

    rig.answer()

    [report] = rig.peer.reports
    assert report.event_type == 2
    assert report.committed == (Reference(CT, "1.1"),)
    assert {failure.reference.sop_instance_uid: failure.reason for failure in report.failed} == {
        "1.2": FailureReason.CLASS_CONFLICT,
        "1.3": FailureReason.PROCESSING_FAILURE,
        "9": FailureReason.NO_SUCH_OBJECT,
    }


def test_of_two_contents_under_one_uid_both_have_to_be_whole(rig):
    rig.held = [stored("1.1"), replace(stored("1.1"), path="other", sha256="b" * 64)]
    custody = Custody(lambda _sop: rig.held, lambda one: one.path != "other")

    assert custody(Reference(CT, "1.1")) is FailureReason.PROCESSING_FAILURE


def test_nobody_is_promised_a_report_that_can_not_be_sent(rig):
    with pytest.raises(UnknownRequester, match="WILLIS_COMMITMENT_PEERS"):
        rig.take(replace(REQUEST, requester="STRANGER"))

    assert rig.book.kept == []


def test_a_requester_that_is_away_is_tried_again_after_ever_longer_pauses(rig):
    rig.take()
    rig.peer.failure = DestinationUnreachable("away")

    pauses = []
    for _ in range(9):
        rig.answer()
        pauses.append((rig.book.kept[0].next_attempt_at - rig.clock.now).total_seconds())
        assert rig.answer() == 0
        rig.clock.advance(pauses[-1])
    rig.peer.failure = None
    rig.answer()

    assert pauses[:3] == [5, 10, 20]
    assert pauses[-1] == 600
    assert rig.state() is CommitmentState.REPORTED
    assert len(rig.peer.reports) == 1


def test_a_requester_that_refuses_is_not_asked_again(rig):
    rig.take()
    rig.peer.failure = DestinationRefused("no")

    rig.answer()

    assert rig.state() is CommitmentState.REFUSED
    assert rig.answer() == 0


def test_a_request_that_could_not_be_answered_for_a_day_is_given_up(rig):
    rig.take()
    rig.peer.failure = DestinationUnreachable("away")
    rig.answer()

    rig.clock.advance(24 * 3600)
    rig.answer()

    assert rig.state() is CommitmentState.EXPIRED


def test_a_requester_that_left_the_settings_keeps_its_request(rig):
    rig.take()
    rig.peers.clear()

    rig.answer()

    assert (rig.state(), rig.peer.reports) == (CommitmentState.WAITING, [])


def test_what_is_found_missing_later_is_not_committed_by_a_later_attempt(rig):
    rig.take()
    rig.peer.failure = DestinationUnreachable("away")
    rig.answer()
    rig.held, rig.peer.failure = [], None
    rig.clock.advance(60)

    rig.answer()

    assert rig.peer.reports[0].failed[0].reason is FailureReason.NO_SUCH_OBJECT
