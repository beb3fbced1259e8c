"""The receiver and the sender over real sockets, against pynetdicom and dcmtk."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import JPEG2000Lossless, RLELossless
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage, MRImageStorage

from tests.synthetic_ct import write_ct_series
from tests.toy_core import Toy, toy_core
from willis_models import errors
from willis_models.errors import DecodingError, DestinationRefused, DestinationUnreachable
from willis_service.adapters.dicom.incoming import uploaded_instance
from willis_service.adapters.dicom.receiver import (
    PROCESSING_FAILURE,
    STATUS_OF,
    Receiver,
    RunningReceiver,
)
from willis_service.adapters.dicom.sender import DicomSender
from willis_service.bootstrap import receiver_of
from willis_service.domain.peers import Destination

SENDER = "SCANNER"


@contextmanager
def listening(receiver: Receiver) -> Iterator[RunningReceiver]:
    running = receiver.start("127.0.0.1", 0)
    try:
        yield running
    finally:
        running.stop(2)


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


def stored(toy: Toy, files: list[Path]) -> list[Path]:
    study = uploaded_instance(files[0]).study_instance_uid
    return [toy.core.folder.path_of(i.path) for i in toy.core.studies.instances(study)]


def status_of(toy: Toy, take: Callable[..., object], file: Path) -> int:
    with listening(replace(receiver_of(toy.core), take=take)) as running:
        entity = AE(SENDER)
        entity.add_requested_context(CTImageStorage)
        association = entity.associate("127.0.0.1", running.port, ae_title="WILLIS")
        try:
            return int(association.send_c_store(file).Status)
        finally:
            association.release()


def raising(error: Exception) -> Callable[..., object]:
    def take(_incoming: object) -> object:
        raise error

    return take


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


def test_names_in_any_character_set_survive(toy, tmp_path):
    names = {"ISO_IR 192": "山田^太郎", "GB18030": "王^小东", "ISO_IR 100": "Müller^Jürgen"}
    for number, (charset, name) in enumerate(names.items()):
        person = {"SpecificCharacterSet": charset, "PatientName": name}
        folder = tmp_path / str(number)
        files = write_ct_series(folder, shape=(1, 16, 16), seed=charset, overrides=person)

        with listening(receiver_of(toy.core)) as running:
            send(running, *files)

        assert str(pydicom.dcmread(stored(toy, files)[0]).PatientName) == name


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
    receiver = replace(receiver_of(toy.core), has_room=lambda: False)

    with listening(receiver) as running, pytest.raises(DestinationUnreachable, match="later"):
        send(running, *files)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.StorageFull("full"), 0xA700),
        (errors.UploadTooLarge("large"), 0x0213),
        (errors.DecodingError("what?"), 0xC000),
        (ZeroDivisionError("a bug"), 0x0110),
    ],
)
def test_a_sender_is_told_what_kind_of_trouble_it_is(toy, files, error, status):
    assert status_of(toy, raising(error), files[0]) == status


def test_every_error_of_the_tree_has_a_failure_status():
    def leaves(kind: type[errors.WillisError]) -> Iterator[type[errors.WillisError]]:
        yield kind
        for below in kind.__subclasses__():
            yield from leaves(below)

    statuses = {STATUS_OF.get(kind, PROCESSING_FAILURE) for kind in leaves(errors.WillisError)}

    assert statuses == {0xA700, 0x0213, 0xC000, 0x0110}


def test_a_data_set_that_is_not_of_its_sop_class_is_refused(toy, files):
    with listening(receiver_of(toy.core)) as running:
        entity = AE(SENDER)
        entity.add_requested_context(MRImageStorage, pydicom.uid.ExplicitVRLittleEndian)
        association = entity.associate("127.0.0.1", running.port, ae_title="WILLIS")
        image = pydicom.dcmread(files[0])
        request = _store_request(image, MRImageStorage)
        association._reactor_checkpoint.clear()  # the answer is ours to take
        while not association._is_paused:
            time.sleep(0.01)
        association.dimse.send_msg(request, association.accepted_contexts[0].context_id)
        _, answer = association.dimse.get_msg(block=True)
        association._reactor_checkpoint.set()
        association.release()

    assert answer.Status == 0xA900
    assert stored(toy, files) == []


def _store_request(image: pydicom.Dataset, sop_class: str) -> object:
    from io import BytesIO

    from pynetdicom.dimse_primitives import C_STORE
    from pynetdicom.dsutils import encode

    request = C_STORE()
    request.MessageID = 1
    request.AffectedSOPClassUID = sop_class
    request.AffectedSOPInstanceUID = image.SOPInstanceUID
    request.Priority = 2
    request.DataSet = BytesIO(encode(image, False, True))
    return request


def test_an_object_that_outgrows_the_limit_ends_the_association(toy, tmp_path):
    files = write_ct_series(tmp_path / "large", shape=(1, 1024, 1024))

    with listening(receiver_of(toy.core)) as running, pytest.raises(DestinationUnreachable):
        send(running, *files)

    assert stored(toy, files) == []


def test_many_small_objects_may_together_outgrow_the_limit_of_one(toy, tmp_path):
    files = write_ct_series(tmp_path / "many", shape=(5, 512, 512))

    with listening(receiver_of(toy.core)) as running:
        send(running, *files)

    assert len(stored(toy, files)) == 5


def test_broken_connections_leave_no_thread_and_no_descriptor(toy):
    receiver = receiver_of(toy.core)
    impatient = replace(receiver, limits=replace(receiver.limits, acse_timeout_s=1))
    with listening(impatient) as running:
        _settle(running)
        before = threading.active_count(), len(os.listdir("/proc/self/fd"))
        for number in range(60):
            _break_off(running.port, number)
        _settle(running)
        after = threading.active_count(), len(os.listdir("/proc/self/fd"))

    assert after[0] <= before[0] and after[1] <= before[1] + 2


def _break_off(port: int, number: int) -> None:
    """Connect, send nothing, garbage or the start of an association, and reset the connection."""
    content = (b"", b"\x00" * 40, b"\x01\x00\x00\x00\x01\x00" + bytes(20))[number % 3]
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(content)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _settle(running: RunningReceiver) -> None:
    end = time.monotonic() + 20
    while running.entity.active_associations and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.5)


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
        peer = ["127.0.0.1", str(running.port)]
        command = ["storescu", "-aet", SENDER, "-aec", "WILLIS", *peer, *map(str, files)]
        sending = subprocess.run(command, capture_output=True, timeout=30, check=False)

    assert (sending.returncode, len(stored(toy, files))) == (0, len(files))
