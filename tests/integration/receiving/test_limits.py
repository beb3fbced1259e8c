"""What a receiver takes, from whom, and how it says no."""

from __future__ import annotations

import socket
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import build_role
from pynetdicom.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)
from pynetdicom.sop_class import CTImageStorage, MRImageStorage, Verification

from tests.chaos.wire import COMMAND, CT, LAST, association_request, pdata, store_request
from tests.chaos.wire import associated as on_a_bare_socket
from tests.receiving import SENDER, associated, listening, stored, until_alone
from tests.synthetic_ct import write_ct_series
from tests.toy_core import Toy, toy_core
from willis_service.adapters.dicom.incoming import uploaded_instance
from willis_service.bootstrap.receiving import receiver_of
from willis_service.domain.peers import AllowedSender, SenderList

PRIVATE = "1.2.826.0.1.3680043.10.1.99"


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return toy_core(tmp_path, allowed_ae_titles=SENDER, max_object_mb=1)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return write_ct_series(tmp_path / "ct", shape=(4, 32, 32))


def data_set(file: Path) -> bytes:
    return uploaded_instance(file).data_set


def rejection(port: int, request: bytes) -> tuple[int, ...]:
    """Result, source and reason of the A-ASSOCIATE-RJ; nothing may come after it (R1)."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request)
        answer = connection.recv(65536)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(65536) == b""
    assert (answer[0], len(answer)) == (0x03, 10)
    return tuple(answer[7:])


def test_after_a_rejection_nothing_else_is_checked_or_sent(toy):
    asked = []
    receiver = receiver_of(toy.core)
    acceptor = replace(receiver.acceptor, has_room=lambda: bool(asked.append(1)))
    request = association_request([CT], "STRANGER")

    with listening(replace(receiver, acceptor=acceptor)) as running:
        assert rejection(running.port, request) == (1, 1, 3)

    assert asked == []


@pytest.mark.parametrize(
    ("offset", "content", "expected"),
    [
        (10, b"OTHER           ", (1, 1, 7)),  # called AE title
        (26, b"STRANGER        ", (1, 1, 3)),  # calling AE title
        (6, b"\0\2", (1, 2, 2)),  # protocol version
        (78, b"9", (1, 1, 2)),  # application context name
    ],
)
def test_each_reason_for_a_permanent_no_has_its_own_code(toy, offset, content, expected):
    request = bytearray(association_request([CT], SENDER))
    request[offset : offset + len(content)] = content

    with listening(receiver_of(toy.core)) as running:
        assert rejection(running.port, bytes(request)) == expected


def test_a_listed_title_from_another_address_is_refused(toy):
    receiver = receiver_of(toy.core)
    elsewhere = SenderList((AllowedSender(SENDER, "192.0.2.7"),))
    acceptor = replace(receiver.acceptor, senders=elsewhere)

    with listening(replace(receiver, acceptor=acceptor)) as running:
        assert rejection(running.port, association_request([CT], SENDER)) == (1, 1, 3)


def test_one_association_too_many_is_asked_to_come_back_later(toy):
    receiver = receiver_of(toy.core)
    two = replace(receiver, limits=replace(receiver.limits, max_associations=2))

    with listening(two) as running:
        with associated(running, Verification), associated(running, Verification):
            assert rejection(running.port, association_request([CT], SENDER)) == (2, 3, 2)
        until_alone(running)
        with associated(running, Verification) as association:
            assert association.send_c_echo().Status == 0


def test_a_crowd_of_silent_connections_does_not_keep_a_sender_out(toy):
    receiver = receiver_of(toy.core)
    small = replace(receiver, limits=replace(receiver.limits, max_associations=4))

    with listening(small) as running:
        crowd = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(20)]
        with associated(running, Verification) as association:
            assert association.send_c_echo().Status == 0
        for connection in crowd:
            connection.close()
        until_alone(running)


def test_an_object_that_is_too_large_is_refused_and_the_next_one_is_taken(toy, files, tmp_path):
    large = write_ct_series(tmp_path / "large", shape=(1, 1024, 1024), seed="other")

    with (
        listening(receiver_of(toy.core)) as running,
        associated(running, CTImageStorage) as association,
    ):
        statuses = [association.send_c_store(file).Status for file in (large[0], files[0])]

    assert statuses == [0x0213, 0x0000]
    assert stored(toy, large) == [] and len(stored(toy, files)) == 1
    assert list(toy.core.settings.data_dir.rglob("*.part")) == []


def test_a_study_may_grow_to_a_number_of_instances(tmp_path, files):
    toy = toy_core(tmp_path, allowed_ae_titles=SENDER, max_study_instances=2)

    with (
        listening(receiver_of(toy.core)) as running,
        associated(running, CTImageStorage) as association,
    ):
        statuses = [association.send_c_store(file).Status for file in files]

    assert statuses == [0, 0, 0x0213, 0x0213]
    assert len(list(toy.core.settings.data_dir.rglob("*.dcm"))) == 2


def test_a_study_may_grow_to_a_number_of_bytes(tmp_path):
    toy = toy_core(tmp_path, allowed_ae_titles=SENDER, max_study_mb=1)
    files = write_ct_series(tmp_path / "ct", shape=(4, 448, 448))  # 0.4 MB each

    with (
        listening(receiver_of(toy.core)) as running,
        associated(running, CTImageStorage) as association,
    ):
        statuses = [association.send_c_store(file).Status for file in files]
        again = association.send_c_store(files[0]).Status

    assert statuses == [0, 0, 0x0213, 0x0213]
    assert again == 0  # what is there is no growth


def test_the_agreed_pdu_length_is_ours_and_kept(toy):
    receiver = receiver_of(toy.core)
    acceptor = replace(receiver.acceptor, max_pdu_bytes=8192)
    small = replace(
        receiver, acceptor=acceptor, limits=replace(receiver.limits, max_pdu_bytes=8192)
    )

    with listening(small) as running:
        with associated(running, CTImageStorage) as association:
            assert association.acceptor.maximum_length == 8192
        with on_a_bare_socket(running.port) as wire:
            wire.connection.sendall(pdata(1, bytes(9000), COMMAND | LAST))
            assert wire.connection.recv(10)[0] == 0x07


def test_only_one_operation_at_a_time_is_agreed_and_the_rest_of_the_wishes_is_passed_over(
    toy, files
):
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = 8
    window.maximum_number_operations_performed = 8
    identity = UserIdentityNegotiation()
    identity.user_identity_type, identity.primary_field = 1, b"somebody"
    extended = SOPClassExtendedNegotiation()
    extended.sop_class_uid, extended.service_class_application_information = CT, b"\1\1"
    role = build_role(CT, scu_role=True, scp_role=True)
    wishes = [window, identity, extended, role]

    with (
        listening(receiver_of(toy.core)) as running,
        associated(running, CTImageStorage, ext_neg=wishes) as association,
    ):
        assert association.acceptor.asynchronous_operations == (1, 1)
        assert association.acceptor.role_selection == {}
        assert association.send_c_store(files[0]).Status == 0


def test_contexts_are_accepted_and_refused_one_by_one(toy):
    unknown, find = "1.2.3.4.5", "1.2.840.10008.5.1.4.1.2.2.1"

    with (
        listening(receiver_of(toy.core)) as running,
        associated(running, CTImageStorage, unknown, find, Verification) as association,
    ):
        accepted = {context.abstract_syntax for context in association.accepted_contexts}
        results = {c.abstract_syntax: c.result for c in association.rejected_contexts}

    assert accepted == {CTImageStorage, Verification}
    assert results == {unknown: 3, find: 3}


def test_a_transfer_syntax_that_nobody_reads_is_refused_as_such(toy):
    with listening(receiver_of(toy.core)) as running:
        mpeg = (CTImageStorage, "1.2.840.10008.1.2.4.100")
        with associated(running, mpeg, Verification) as association:
            assert [context.result for context in association.rejected_contexts] == [4]


@pytest.mark.parametrize("takes", [True, False])
def test_private_classes_are_stored_where_that_is_asked_for(tmp_path, takes):
    toy = toy_core(tmp_path, allowed_ae_titles=SENDER, accept_private_classes=takes)
    files = write_ct_series(tmp_path / "ct", shape=(1, 16, 16), overrides={"SOPClassUID": PRIVATE})

    with (
        listening(receiver_of(toy.core)) as running,
        on_a_bare_socket(running.port, [PRIVATE, CT]) as wire,
    ):
        assert (PRIVATE in wire.contexts) is takes
        if takes:
            sop = uploaded_instance(files[0]).sop_instance_uid
            assert wire.store(PRIVATE, sop, data_set(files[0])) == 0
        wire.release()

    assert len(stored(toy, files)) == int(takes)


def test_a_class_other_than_that_of_the_context_is_not_supported(toy, files):
    sop = uploaded_instance(files[0]).sop_instance_uid
    with listening(receiver_of(toy.core)) as running, on_a_bare_socket(running.port) as wire:
        wire.contexts["1.2.840.10008.5.1.4.1.1.4"] = wire.contexts[CT]

        assert wire.store("1.2.840.10008.5.1.4.1.1.4", sop, data_set(files[0])) == 0x0122
        assert wire.store(CT, sop, data_set(files[0])) == 0x0000
        wire.release()


@pytest.mark.parametrize("what", ["class", "instance"])
def test_a_data_set_that_is_not_what_the_command_says_is_refused(toy, files, what):
    sop = uploaded_instance(files[0]).sop_instance_uid
    mr = str(MRImageStorage)
    sop_class, sop = (mr, sop) if what == "class" else (CT, "1.2.3.4.5.6.7")

    with (
        listening(receiver_of(toy.core)) as running,
        on_a_bare_socket(running.port, [sop_class]) as wire,
    ):
        assert wire.store(sop_class, sop, data_set(files[0])) == 0xA900
        wire.release()

    assert stored(toy, files) == []
    assert list(toy.core.settings.data_dir.rglob("*.dcm")) == []


def test_a_data_set_that_says_nothing_of_itself_can_not_be_understood(toy):
    with listening(receiver_of(toy.core)) as running, on_a_bare_socket(running.port) as wire:
        assert wire.store(CT, "1.2.3", b"\x08\0\x05\0CS\x0a\0ISO_IR 100") == 0xC000
        assert wire.store(CT, "1.2.3", b"no DICOM at all") == 0xC000
        wire.release()


def test_an_operation_that_nobody_offers_is_not_recognised(toy):
    find = store_request(CT, "1.2.3", 1).replace(
        struct.pack("<HHIH", 0, 0x0100, 2, 1), struct.pack("<HHIH", 0, 0x0100, 2, 0x20)
    )
    with listening(receiver_of(toy.core)) as running, on_a_bare_socket(running.port) as wire:
        wire.connection.sendall(pdata(1, find, COMMAND | LAST) + pdata(1, b"1234", LAST))
        wire._message = 1

        assert wire._status() == 0x0211
        wire.release()


def test_several_values_in_one_pdu_and_a_command_in_pieces_are_understood(toy, files):
    sop = uploaded_instance(files[0]).sop_instance_uid
    command, content = store_request(CT, sop, 1), data_set(files[0])

    def value(fragment: bytes, control: int) -> bytes:
        return struct.pack(">IBB", len(fragment) + 2, 1, control) + fragment

    parts = (
        value(command[:20], COMMAND)
        + value(command[20:], COMMAND | LAST)
        + value(content[:100], 0)
        + value(b"", 0)
        + value(content[100:], LAST)
    )
    with listening(receiver_of(toy.core)) as running, on_a_bare_socket(running.port) as wire:
        for byte in struct.pack(">BBI", 4, 0, len(parts)):
            wire.connection.sendall(bytes([byte]))
        wire.connection.sendall(parts)
        wire._message = 1

        assert wire._status() == 0
        wire.release()

    (path,) = stored(toy, files)
    assert uploaded_instance(path).data_set == content


def test_several_receivers_share_one_port(tmp_path, files):
    from willis_service.adapters.dicom.receiver import Door

    first = toy_core(tmp_path, allowed_ae_titles=SENDER)
    second = toy_core(tmp_path, allowed_ae_titles=SENDER)
    with listening(receiver_of(first.core), Door("127.0.0.1", 0, None, True)) as one:
        door = Door("127.0.0.1", one.port, None, True)
        with listening(receiver_of(second.core), door) as other:
            for file in files * 3:
                with on_a_bare_socket(other.port, syntax=ExplicitVRLittleEndian) as wire:
                    sop = uploaded_instance(file).sop_instance_uid
                    assert wire.store(CT, sop, data_set(file)) == 0
                    wire.release()

    assert len(stored(first, files)) == 4
