"""Storage commitment asked of an archive: what it vouches for, and what it has lost after all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from pynetdicom import AE, evt

from tests.archives import Archive, free_port, wait_until
from tests.delivery_rig import Rig, archive_destination, run_until_idle
from willis_service.adapters.dicom.associate import Requestor, Timeouts
from willis_service.adapters.dicom.commitment_scu import CommitmentScu, commitment_answer
from willis_service.application.delivery.commitments import AskCommitment, NoteCommitment
from willis_service.domain.commitment import PUSH_MODEL_CLASS
from willis_service.domain.delivery import Backoff
from willis_service.domain.job import ResultKind
from willis_service.domain.peers import Destination

HOUR = timedelta(hours=1)


@pytest.fixture
def rig(rig: Rig, archive: Archive) -> Rig:
    rig.destinations = [archive_destination(archive.address, commitment=True)]
    return rig


@pytest.fixture
def note(rig: Rig) -> NoteCommitment:
    return NoteCommitment(rig.outbox, timedelta(minutes=5), rig.clock)


@pytest.fixture
def ask(rig: Rig, archive: Archive, note: NoteCommitment) -> AskCommitment:
    scu = CommitmentScu(archive.address, Requestor("WILLIS", Timeouts(5, 5, 5)), wait_s=1)
    backoff = Backoff(timedelta(seconds=5), timedelta(seconds=300))
    return AskCommitment(
        "pacs", rig.outbox, scu, note, HOUR, backoff, rig.clock, chance=lambda: 0.999
    )


@pytest.fixture
def sent(rig: Rig) -> str:
    job = rig.job()
    rig.plan()
    run_until_idle(rig.lane(rig.destinations[0]))
    assert rig.states() == {"SEG": "sent", "SR": "sent"}
    return job


@pytest.fixture
def us(note: NoteCommitment) -> Iterator[Destination]:
    """Our own side of an association that the archive opens for its report."""

    def reported(event: evt.Event) -> tuple[int, None]:
        note(commitment_answer(event.event_information))
        return 0x0000, None

    entity, port = AE(ae_title="WILLIS"), free_port()
    entity.add_supported_context(PUSH_MODEL_CLASS, scu_role=True, scp_role=True)
    server = entity.start_server(
        ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, reported)]
    )
    yield Destination("WILLIS", "127.0.0.1", port)
    server.shutdown()


def test_a_report_on_the_same_association_commits_everything(rig, ask, sent, archive):
    assert ask()

    assert rig.states() == {"SEG": "committed", "SR": "committed"}
    assert not ask()  # nothing is asked twice
    assert len(archive.commitments) == 1


def test_a_report_on_an_association_of_its_own_commits_everything(rig, ask, sent, archive, us):
    archive.reports, archive.report_to = "new", us

    assert ask()

    wait_until(lambda: rig.states() == {"SEG": "committed", "SR": "committed"})


def test_without_a_report_it_is_asked_again_after_an_hour(rig, ask, sent, archive):
    archive.reports = "never"

    assert ask()
    assert not ask()
    rig.clock.advance(3601)
    assert ask()

    assert rig.states() == {"SEG": "sent", "SR": "sent"}
    assert len(set(archive.commitments)) == 2


def test_an_object_that_the_archive_does_not_have_is_sent_again(rig, ask, sent, archive):
    seg = rig.uids(sent)[ResultKind.SEG]
    archive.lost.add(seg)

    ask()
    assert rig.states() == {"SEG": "waiting", "SR": "committed"}
    archive.lost.clear()
    rig.clock.advance(301)
    run_until_idle(rig.lane(rig.destinations[0]), ask)

    assert rig.states() == {"SEG": "committed", "SR": "committed"}
    assert archive.confirmed.count(seg) == 2


def test_an_object_not_vouched_for_on_other_grounds_is_asked_for_again_and_not_sent(
    rig, ask, sent, archive
):
    seg = rig.uids(sent)[ResultKind.SEG]
    archive.lost.add(seg)
    archive.failure_reason = 0x0213

    ask()
    assert rig.states() == {"SEG": "sent", "SR": "committed"}
    archive.lost.clear()
    rig.clock.advance(301)
    ask()

    assert rig.states() == {"SEG": "committed", "SR": "committed"}
    assert archive.confirmed.count(seg) == 1


def test_an_archive_that_is_away_is_asked_later(rig, ask, sent, archive):
    archive.down()
    assert not ask()
    archive.up()
    assert not ask()

    rig.clock.advance(6)
    assert ask()

    assert rig.states() == {"SEG": "committed", "SR": "committed"}


def test_a_report_about_something_else_changes_nothing(rig, note, sent, archive):
    from willis_service.domain.commitment import Reference
    from willis_service.domain.delivery import CommitmentAnswer

    uid = rig.uids(sent)[ResultKind.SEG]

    assert note(CommitmentAnswer("1.2.3.4", (Reference("1.2", uid),), ())) == 0
    assert rig.states() == {"SEG": "sent", "SR": "sent"}
