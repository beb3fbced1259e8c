"""Storage commitment from N-ACTION to N-EVENT-REPORT, with pynetdicom as the requester."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom import dcmread
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage, StorageCommitmentPushModel

from tests.commitment_requester import PACS, Requester, ask_for_commitment, free_port
from tests.hand_clock import HandClock
from tests.synthetic_ct import write_ct_series
from tests.toy_core import Toy, toy_core
from willis_models.errors import DestinationRefused, DestinationUnreachable
from willis_service.adapters.dicom.associate import Requestor, Timeouts
from willis_service.adapters.dicom.commitment import CommitmentReporter
from willis_service.adapters.dicom.receiver import Door
from willis_service.bootstrap.committing import reports_of
from willis_service.bootstrap.receiving import receiver_of
from willis_service.domain.commitment import (
    CommitmentReport,
    Failure,
    FailureReason,
    Reference,
)
from willis_service.domain.peers import Destination

CT = str(CTImageStorage)


@dataclass
class Site:
    """An installation whose receiver listens, and its one requester."""

    toy: Toy
    port: int
    requester: Requester
    clock: HandClock = field(default_factory=lambda: HandClock(datetime.now(UTC)))

    @contextmanager
    def association(self, calling: str = PACS):
        entity = AE(calling)
        entity.add_requested_context(CTImageStorage)
        entity.add_requested_context(StorageCommitmentPushModel)
        association = entity.associate("127.0.0.1", self.port, ae_title="WILLIS")
        try:
            yield association
        finally:
            association.release()

    def send(self, files: list[Path]) -> None:
        with self.association() as association:
            for path in files:
                assert association.send_c_store(path).Status == 0x0000

    def ask(self, references: list[tuple[str, str]], calling: str = PACS) -> int:
        return ask_for_commitment(self.port, references, calling)

    def report(self) -> None:
        """What the keeper does every second."""
        replace(reports_of(self.toy.core), clock=self.clock)()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    requester = Requester(free_port())
    toy = toy_core(
        tmp_path,
        allowed_ae_titles="PACS,STRANGER",
        commitment_peers=f"{PACS}@127.0.0.1:{requester.port}",
        acse_timeout_s=5,
        dimse_timeout_s=5,
    )
    running = receiver_of(toy.core).start(Door("127.0.0.1", 0))
    try:
        yield Site(toy, running.port, requester)
    finally:
        running.stop(2)
        toy.core.database.close()


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return write_ct_series(tmp_path / "ct", shape=(3, 16, 16))


def named(files: list[Path]) -> list[tuple[str, str]]:
    return [(CT, str(dcmread(path).SOPInstanceUID)) for path in files]


def test_what_was_received_is_committed_on_an_association_of_its_own(site, files):
    site.send(files)

    assert site.ask(named(files)) == 0x0000
    with site.requester.listening():
        site.report()

    [(event_type, information)] = site.requester.reports
    committed = [item.ReferencedSOPInstanceUID for item in information.ReferencedSOPSequence]
    assert event_type == 1
    assert committed == [sop for _, sop in named(files)]
    assert "FailedSOPSequence" not in information


def test_what_is_not_here_or_not_whole_any_more_is_not_committed(site, files):
    site.send(files)
    study = str(dcmread(files[0]).StudyInstanceUID)
    kept = {one.sop_instance_uid: one.path for one in site.toy.core.studies.instances(study)}
    site.toy.core.folder.path_of(kept[named(files)[1][1]]).unlink()
    damaged = site.toy.core.folder.path_of(kept[named(files)[2][1]])
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")
    other_class = ("1.2.840.10008.5.1.4.1.1.4", named(files)[0][1])

    site.ask([*named(files), (CT, "1.2.3.4"), other_class])
    with site.requester.listening():
        site.report()

    [(event_type, information)] = site.requester.reports
    failed = [int(item.FailureReason) for item in information.FailedSOPSequence]
    assert event_type == 2
    assert len(information.ReferencedSOPSequence) == 1
    assert failed == [0x0110, 0x0110, 0x0112, 0x0119]


def test_a_requester_that_is_away_gets_its_report_when_it_is_back(site, files):
    site.send(files)
    site.ask(named(files))

    site.report()
    with site.requester.listening():
        site.report()
        too_early = len(site.requester.reports)
        site.clock.advance(5)
        site.report()

    assert (too_early, len(site.requester.reports)) == (0, 1)


def test_a_report_is_sent_once(site, files):
    site.send(files)
    site.ask(named(files))

    with site.requester.listening():
        site.report()
        site.report()

    assert len(site.requester.reports) == 1


def test_a_requester_without_an_address_is_refused_at_once(site, files):
    site.send(files)

    assert site.ask(named(files), calling="STRANGER") != 0x0000


REPORT = CommitmentReport(
    "1.2.99",
    (Reference(CT, "1.1"),),
    (Failure(Reference(CT, "1.2"), FailureReason.NO_SUCH_OBJECT),),
)


def sending(requester: Requester) -> None:
    to = Destination(PACS, "127.0.0.1", requester.port)
    CommitmentReporter(Requestor("WILLIS", Timeouts(5, 5, 5)))(REPORT, to)


@pytest.mark.parametrize("status", [0x0110, 0x0213])
def test_a_requester_that_is_busy_is_asked_later(status):
    requester = Requester(free_port(), status)

    with requester.listening(), pytest.raises(DestinationUnreachable):
        sending(requester)


def test_a_requester_that_does_not_know_the_transaction_is_not_asked_again():
    requester = Requester(free_port(), 0x0115)

    with requester.listening(), pytest.raises(DestinationRefused):
        sending(requester)


def test_a_requester_that_answers_no_role_still_gets_its_report():
    requester = Requester(free_port(), roles=False)

    with requester.listening():
        sending(requester)

    assert [event_type for event_type, _ in requester.reports] == [2]


def test_nobody_at_the_address_is_no_refusal():
    with pytest.raises(DestinationUnreachable):
        sending(Requester(free_port()))
