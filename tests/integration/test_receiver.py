"""The receiver and the sender over real sockets, against pynetdicom and dcmtk."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import ExplicitVRBigEndian, JPEG2000Lossless, RLELossless
from pynetdicom.sop_class import CTImageStorage

from tests.receiving import SENDER, associated, listening, stored
from tests.synthetic_ct import write_ct_series
from tests.toy_core import Toy, toy_core
from willis_models import errors
from willis_models.errors import DecodingError, DestinationRefused, DestinationUnreachable
from willis_service.adapters.dicom.incoming import uploaded_instance
from willis_service.adapters.dicom.receiver import RunningReceiver
from willis_service.adapters.dicom.sender import DicomSender
from willis_service.adapters.dicom.statuses import PROCESSING_FAILURE, STATUS_OF
from willis_service.application.ports import Landing
from willis_service.application.receive import Intake
from willis_service.bootstrap.receiving import receiver_of
from willis_service.domain.instance import Receipt, StoredInstance
from willis_service.domain.peers import Destination


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return toy_core(tmp_path, allowed_ae_titles=SENDER, max_object_mb=1)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return write_ct_series(tmp_path / "ct", shape=(4, 32, 32))


def to(running: RunningReceiver, title: str = "WILLIS") -> Destination:
    return Destination(title, "127.0.0.1", running.port)


def send(running: RunningReceiver, *files: Path, sender: str = SENDER) -> None:
    DicomSender(sender, 5, 10, 10)(files, to(running))


@dataclass(frozen=True)
class Failing:
    """An intake that fails with an error when the object is to be kept."""

    intake: Intake
    error: Exception

    def land(self, header: bytes, transfer_syntax_uid: str) -> Landing:
        return self.intake.land(header, transfer_syntax_uid)

    def keep(self, *_: object) -> tuple[Receipt, StoredInstance]:
        raise self.error


def test_what_is_stored_is_what_was_sent_to_the_byte(toy, files):
    with listening(receiver_of(toy.core)) as running:
        send(running, *files)

    sent = {uploaded_instance(file).data_set for file in files}
    assert {uploaded_instance(path).data_set for path in stored(toy, files)} == sent
    assert all(pydicom.dcmread(path).pixel_array.any() for path in stored(toy, files))


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_compressed_pixels_stay_compressed(toy, tmp_path, syntax):
    files = write_ct_series(tmp_path / "packed", shape=(2, 32, 32), transfer_syntax=syntax)

    with listening(receiver_of(toy.core)) as running:
        send(running, *files)

    (first, _) = stored(toy, files)
    assert pydicom.dcmread(first).file_meta.TransferSyntaxUID == syntax


@pytest.mark.skipif(shutil.which("storescu") is None, reason="dcmtk is not installed")
@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 192", "Yamada^Tarou=山田^太郎"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        ("ISO_IR 100", "Müller^Jürgen"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    ],
)
def test_names_in_any_character_set_survive_byte_for_byte(toy, tmp_path, charset, name):
    person = {"SpecificCharacterSet": charset, "PatientName": name}
    files = write_ct_series(tmp_path / "ct", shape=(1, 16, 16), overrides=person)

    with listening(receiver_of(toy.core)) as running:
        storescu(running, *files)

    (path,) = stored(toy, files)
    sent, kept = pydicom.dcmread(files[0]), pydicom.dcmread(path)
    assert str(kept.PatientName) == name
    assert kept.PatientName.original_string == sent.PatientName.original_string
    assert kept.SpecificCharacterSet == sent.SpecificCharacterSet


def test_an_echo_is_answered(toy):
    with listening(receiver_of(toy.core)) as running:
        DicomSender(SENDER).echo(to(running))


def test_a_caller_that_is_not_listed_is_refused_for_good(toy, files):
    with listening(receiver_of(toy.core)) as running, pytest.raises(DestinationRefused):
        send(running, *files, sender="STRANGER")

    assert stored(toy, files) == []


def test_a_caller_that_asks_for_another_title_is_refused(toy, files):
    with listening(receiver_of(toy.core)) as running, pytest.raises(DestinationRefused):
        DicomSender(SENDER)(files, to(running, "OTHER"))


def test_a_full_disk_is_a_passing_trouble_to_the_sender(toy, files):
    receiver = receiver_of(toy.core)
    full = replace(receiver, acceptor=replace(receiver.acceptor, has_room=lambda: False))

    with listening(full) as running, pytest.raises(DestinationUnreachable, match="later"):
        send(running, *files)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.StorageFull("full"), 0xA700),
        (errors.DatabaseUnavailable("busy"), 0xA700),
        (errors.UploadTooLarge("large"), 0x0213),
        (errors.DecodingError("what?"), 0xC000),
        (ZeroDivisionError("a bug"), 0x0110),
    ],
)
def test_a_sender_is_told_what_kind_of_trouble_it_is(toy, files, error, status):
    receiver = receiver_of(toy.core)
    failing = replace(receiver, objects=Failing(toy.core.intake, error))

    with listening(failing) as running, associated(running, CTImageStorage) as association:
        answer = association.send_c_store(files[0])

    assert answer.Status == status
    assert 0 < len(answer.ErrorComment) <= 64
    assert stored(toy, files) == []


def test_every_error_of_the_tree_has_a_failure_status():
    def leaves(kind: type[errors.WillisError]) -> Iterator[type[errors.WillisError]]:
        yield kind
        for below in kind.__subclasses__():
            yield from leaves(below)

    statuses = {STATUS_OF.get(kind, PROCESSING_FAILURE) for kind in leaves(errors.WillisError)}

    assert statuses == {0xA700, 0x0213, 0xC000, 0x0110, 0x0124}


def test_the_same_object_again_is_a_success_and_nothing_new(toy, files):
    with listening(receiver_of(toy.core)) as running:
        send(running, files[0])
        send(running, files[0])

    assert len(list(toy.core.settings.data_dir.rglob("*.dcm"))) == 1


def test_other_bytes_under_a_known_uid_are_kept_beside_the_first_as_a_conflict(toy, files):
    changed = pydicom.dcmread(files[0])
    changed.PatientComments = "Other bytes."
    other = files[0].with_name("other.dcm")
    changed.save_as(other)

    with listening(receiver_of(toy.core)) as running:
        send(running, files[0])
        send(running, other)

    assert len(stored(toy, files)) == 1
    assert len(list(toy.core.settings.data_dir.rglob("*.dcm"))) == 2
    assert toy.core.studies.count_conflicts(changed.StudyInstanceUID) == 1


def test_what_is_not_in_the_header_scan_is_found_by_a_closer_look(toy, tmp_path):
    files = write_ct_series(
        tmp_path / "big", shape=(2, 32, 32), transfer_syntax=ExplicitVRBigEndian
    )

    with listening(receiver_of(toy.core)) as running:
        send(running, *files)

    assert len(stored(toy, files)) == 2


def test_an_object_with_a_header_longer_than_the_memory_is_taken(tmp_path):
    toy = toy_core(tmp_path, allowed_ae_titles=SENDER, max_object_mb=8)
    item = pydicom.Dataset()
    item.ReferencedSOPInstanceUID = "1.2.3" + ".9" * 29
    more = {"ReferencedImageSequence": [item] * 15_000}
    files = write_ct_series(tmp_path / "long", shape=(1, 32, 32), overrides=more)

    with listening(receiver_of(toy.core)) as running:
        send(running, *files)

    (path,) = stored(toy, files)
    assert uploaded_instance(path).data_set == uploaded_instance(files[0]).data_set


def test_many_small_objects_may_together_outgrow_the_limit_of_one(toy, tmp_path):
    files = write_ct_series(tmp_path / "many", shape=(5, 512, 512))

    with listening(receiver_of(toy.core)) as running:
        send(running, *files)

    assert len(stored(toy, files)) == 5


def test_a_file_that_is_no_dicom_file_is_named_before_anything_is_sent(tmp_path):
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear colleague")

    with pytest.raises(DecodingError, match=r"letter\.txt"):
        DicomSender(SENDER)([letter], Destination("WILLIS", "127.0.0.1", 9))


def test_a_destination_that_is_down_may_be_tried_again(files):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    with pytest.raises(DestinationUnreachable, match="host, port"):
        DicomSender(SENDER, 2, 2, 2)(files, Destination("WILLIS", "127.0.0.1", port))


@pytest.mark.skipif(shutil.which("storescp") is None, reason="dcmtk is not installed")
def test_dcmtk_receives_what_we_send(files, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    received = tmp_path / "received"
    received.mkdir()
    command = ["storescp", "-od", str(received), str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as scp:
        _wait_for(port)
        DicomSender(SENDER)(files, Destination("ANY", "127.0.0.1", port))
        scp.terminate()

    assert len(list(received.iterdir())) == len(files)


def _wait_for(port: int) -> None:
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)


@pytest.mark.skipif(shutil.which("storescu") is None, reason="dcmtk is not installed")
def test_dcmtk_sends_what_we_store(toy, files):
    with listening(receiver_of(toy.core)) as running:
        storescu(running, *files)

    assert len(stored(toy, files)) == len(files)


def storescu(running: RunningReceiver, *files: Path) -> None:
    peer = ["127.0.0.1", str(running.port)]
    command = ["storescu", "-R", "-aet", SENDER, "-aec", "WILLIS", *peer, *map(str, files)]
    subprocess.run(command, capture_output=True, timeout=60, check=True)
