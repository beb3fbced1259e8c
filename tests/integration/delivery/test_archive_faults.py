"""An archive that is away, slow, full, picky or rude: delivery catches up, nothing comes twice."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from pydicom import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from tests.archives import SEG, SR, Archive, wait_until
from tests.delivery_rig import Rig, archive_destination, carrier, run_until_idle
from willis_models.errors import DestinationUnreachable
from willis_service.adapters.dicom.sender import DicomSender
from willis_service.application.delivery.lane import Lane
from willis_service.domain.job import ResultKind
from willis_service.domain.peers import Destination


@pytest.fixture
def lane(rig: Rig) -> Lane:
    return rig.lane(rig.destinations[0])


def later(rig: Rig, lane: Lane, seconds: float = 301) -> None:
    rig.clock.advance(seconds)
    rig.plan()
    run_until_idle(lane)


def test_segmentation_and_report_of_a_job_arrive_in_one_association(rig, lane, archive):
    job = rig.job()
    rig.plan()

    run_until_idle(lane)

    assert archive.confirmed == [rig.uids(job)[ResultKind.SEG], rig.uids(job)[ResultKind.SR]]
    assert archive.associations == 1
    assert rig.states() == {"SEG": "sent", "SR": "sent"}


def test_what_was_confirmed_is_never_sent_again(rig, lane, archive):
    rig.job()
    rig.plan()
    run_until_idle(lane)

    for _ in range(3):
        later(rig, lane)

    assert len(archive.offered) == 2


def test_an_archive_that_was_down_gets_everything_once_when_it_is_back(rig, lane, archive):
    archive.down()
    jobs = [rig.job(f"job {number}") for number in range(5)]
    for _ in range(4):
        later(rig, lane)
    assert {row.state.value for row in rig.rows()} <= {"waiting", "planned"}

    archive.up()
    later(rig, lane)

    expected = sorted(uid for job in jobs for uid in rig.uids(job).values())
    assert sorted(archive.confirmed) == expected
    assert {row.state.value for row in rig.rows()} == {"sent"}


def test_an_archive_that_is_down_is_probed_and_not_stormed(rig, lane, archive):
    archive.down()
    for number in range(5):
        rig.job(f"job {number}")
    rig.plan()

    for _ in range(20):
        lane()

    assert sum(row.attempts > 0 for row in rig.rows()) == 2  # the objects of one job


def test_a_day_without_the_archive_is_no_reason_to_give_up(rig, lane, archive):
    archive.down()
    rig.job()
    for _ in range(24):
        later(rig, lane, 3600)
    assert rig.states() == {"SEG": "waiting", "SR": "waiting"}
    assert {row.error_code for row in rig.rows()} == {"UNREACHABLE"}

    archive.up()
    later(rig, lane, 300)

    assert rig.states() == {"SEG": "sent", "SR": "sent"}
    assert len(archive.offered) == 2


def test_after_an_abort_in_the_middle_only_the_rest_is_sent_again(rig, lane, archive):
    job = rig.job()
    rig.plan()
    archive.abort_at = 2

    run_until_idle(lane)
    assert rig.states() == {"SEG": "sent", "SR": "waiting"}

    archive.abort_at = None
    later(rig, lane)

    uids = rig.uids(job)
    assert archive.confirmed == [uids[ResultKind.SEG], uids[ResultKind.SR]]
    assert archive.offered.count(uids[ResultKind.SEG]) == 1


def test_an_object_whose_answer_never_came_is_not_reported_as_sent(rig, lane, archive):
    job = rig.job()
    rig.plan()
    archive.abort_at, archive.abort_keeps = 1, True

    run_until_idle(lane)

    assert rig.states() == {"SEG": "waiting", "SR": "waiting"}
    (seg,) = [row for row in rig.rows() if row.kind is ResultKind.SEG]
    assert (seg.error_code, rig.column(seg.id, "may_be_there")) == ("NO_ANSWER", True)
    archive.abort_at = None
    later(rig, lane)
    assert archive.offered.count(rig.uids(job)[ResultKind.SEG]) == 2  # nobody could know
    assert rig.states() == {"SEG": "sent", "SR": "sent"}


@pytest.mark.parametrize("how", ["status", "context"])
def test_a_refused_class_is_not_tried_again_and_the_rest_is_delivered(rig, archive, how, tmp_path):
    if how == "context":
        archive.down()
        archive.refused_classes.add(SEG)
        archive.up()
    else:
        archive.status_of[SEG] = 0x0122
    job, lane = rig.job(), rig.lane(rig.destinations[0])
    rig.plan()

    run_until_idle(lane)
    for _ in range(3):
        later(rig, lane)

    assert rig.states() == {"SEG": "refused", "SR": "sent"}
    assert archive.confirmed == [rig.uids(job)[ResultKind.SR]]
    (seg,) = rig.rows(state="refused")
    assert (seg.attempts, seg.error_code) == (1, {"status": "0x0122", "context": "NO_CONTEXT"}[how])


def test_an_archive_that_takes_none_of_our_classes_refuses_them(rig, archive):
    archive.down()
    archive.refused_classes |= {SEG, SR}
    archive.up()
    lane = rig.lane(rig.destinations[0])
    rig.job()
    rig.plan()

    run_until_idle(lane)

    assert rig.states() == {"SEG": "refused", "SR": "refused"}


def test_an_archive_out_of_resources_gets_it_later(rig, lane, archive):
    rig.job()
    archive.status = 0xA700

    later(rig, lane)
    assert rig.states() == {"SEG": "waiting", "SR": "waiting"}
    assert {row.error_code for row in rig.rows()} == {"0xA700"}

    archive.status = 0x0000
    later(rig, lane)
    assert rig.states() == {"SEG": "sent", "SR": "sent"}


@pytest.mark.parametrize(
    ("rejection", "state", "code"),
    [
        ((0x01, 0x01, 0x07), "refused", "ASSOCIATION_REFUSED"),
        ((0x02, 0x03, 0x01), "waiting", "UNREACHABLE"),
    ],
)
def test_a_rejected_association_is_final_only_where_it_says_so(
    rig, lane, archive, rejection, state, code
):
    archive.rejects = rejection
    rig.job()
    rig.plan()

    run_until_idle(lane)

    assert {(row.state.value, row.error_code) for row in rig.rows()} == {(state, code)}


def test_an_answer_that_takes_too_long_is_no_success(rig, archive):
    destination = rig.destinations[0]
    lane = rig.lane(destination, carrier(destination, timeout_s=0.3))
    archive.delay_s = 1.5
    rig.job()
    rig.plan()

    run_until_idle(lane)

    assert rig.states() == {"SEG": "waiting", "SR": "waiting"}


def test_a_peer_that_stops_reading_holds_nobody_for_ever(rig, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        destination = archive_destination(Destination("DEAF", "127.0.0.1", port))
        lane = rig.lane(destination, carrier(destination, timeout_s=0.3))
        rig.destinations = [destination]
        rig.job()
        rig.plan()

        worker = threading.Thread(target=lane)
        worker.start()
        worker.join(10)

    assert not worker.is_alive()
    assert {row.error_code for row in rig.rows()} == {"UNREACHABLE"}


def test_a_peer_that_stops_in_the_middle_of_an_object_holds_nobody_for_ever(archive, tmp_path):
    large = _large_object(tmp_path / "large.dcm")
    with _stalling_after(archive.port, 100_000) as port:
        sender = DicomSender("WILLIS", 1, 1, 1)
        started = time.monotonic()
        with pytest.raises(DestinationUnreachable):
            sender([large], Destination("ARCHIVE", "127.0.0.1", port))

    assert time.monotonic() - started < 10
    wait_until(lambda: not [t for t in threading.enumerate() if "RequestorThread" in t.name])


def _large_object(path: Path) -> Path:
    """More than every buffer between the two ends holds."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = CTImageStorage, "1.2.3.4"
    made.add_new("PixelData", "OW", bytes(64 * 2**20))
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.save_as(path, enforce_file_format=True)
    return path


@contextmanager
def _stalling_after(port: int, count: int) -> Iterator[int]:
    """A way to the archive that swallows nothing more after so many bytes."""
    done = threading.Event()

    def pass_on(source: socket.socket, target: socket.socket, left: int) -> None:
        with suppress(OSError):
            while left > 0 and (content := source.recv(65536)):
                target.sendall(content)
                left -= len(content)
            done.wait(30)

    with socket.create_server(("127.0.0.1", 0)) as door:

        def serve() -> None:
            with suppress(OSError):
                near, _address = door.accept()
                far = socket.create_connection(("127.0.0.1", port))
                ways = ((near, far, count), (far, near, 2**40))
                threads = [threading.Thread(target=pass_on, args=one) for one in ways]
                for thread in threads:
                    thread.start()
                done.wait(30)
                for end in (near, far):
                    with suppress(OSError):
                        end.shutdown(socket.SHUT_RDWR)
                    end.close()
                for thread in threads:
                    thread.join()

        server = threading.Thread(target=serve)
        server.start()
        yield door.getsockname()[1]
        done.set()
        server.join(10)


def test_a_name_that_does_not_resolve_may_do_so_later(rig):
    destination = archive_destination(Destination("PACS", "pacs.invalid", 104))
    rig.destinations = [destination]
    rig.job()
    rig.plan()

    run_until_idle(rig.lane(destination))

    assert {(r.state.value, r.error_code) for r in rig.rows()} == {("waiting", "UNREACHABLE")}


def test_an_archive_that_takes_implicit_encoding_only_gets_it(rig, archive):
    archive.down()
    archive.implicit_only = True
    archive.up()
    job, lane = rig.job(), rig.lane(rig.destinations[0])
    rig.plan()

    run_until_idle(lane)

    kept = archive.objects[rig.uids(job)[ResultKind.SEG]]
    assert kept.PixelData == rig.read(job, ResultKind.SEG).PixelData
    assert rig.states() == {"SEG": "sent", "SR": "sent"}


def test_urgent_results_leave_before_routine_ones(rig, lane, archive):
    rig.job("routine")
    rig.clock.advance(1)
    urgent = rig.job("urgent", priority="urgent")
    rig.plan()

    lane()

    assert set(archive.confirmed) == set(rig.uids(urgent).values())


def test_a_courier_that_died_on_the_way_is_followed_by_the_next_when_its_lease_ends(
    rig, lane, archive
):
    rig.job()
    rig.plan()
    claimed = rig.outbox.claim("pacs", "dead", rig.clock(), rig.clock.now.replace(minute=1))
    assert len(claimed) == 2

    assert not lane()
    later(rig, lane, 61)

    assert len(archive.confirmed) == 2
    assert rig.states() == {"SEG": "sent", "SR": "sent"}


def test_a_database_that_fails_at_the_worst_moment_makes_nothing_come_twice(rig, archive):
    rig.job()
    rig.plan()
    outbox = _FailsOnce(rig.outbox)
    lane = rig.lane(rig.destinations[0], outbox=outbox)

    with pytest.raises(OSError):
        lane()
    later(rig, lane)  # the database is back: what was confirmed is stored
    later(rig, lane)

    assert len(archive.confirmed) == len(set(archive.confirmed)) == 2
    assert rig.states() == {"SEG": "sent", "SR": "sent"}


class _FailsOnce:
    """A ledger that is away when the first outcome is to be stored."""

    def __init__(self, outbox: object) -> None:
        self._outbox, self._failures = outbox, 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._outbox, name)

    def settle(self, *arguments: object) -> None:
        if self._failures < 2:
            self._failures += 1
            raise OSError("the database is away")
        self._outbox.settle(*arguments)


def test_a_slow_archive_holds_back_no_other(rig, archive, tmp_path):
    with Archive("FAST") as fast:
        archive.delay_s = 2
        slow = rig.destinations[0]
        rig.destinations = [slow, archive_destination(fast.address, "fast")]
        rig.job()
        rig.plan()
        lanes = [rig.lane(one) for one in rig.destinations]
        threads = [threading.Thread(target=one) for one in lanes]
        for thread in threads:
            thread.start()
        wait_until(lambda: rig.states(destination="fast") == {"SEG": "sent", "SR": "sent"}, 3)
        slow_states = rig.states(destination="pacs")
        for thread in threads:
            thread.join(15)

    assert "sent" not in slow_states.values()
    assert rig.states(destination="pacs") == {"SEG": "sent", "SR": "sent"}
