"""Peers that break off, send garbage or stop half-way: nothing hangs, nothing leaks (R4)."""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos.wire import COMMAND, CT, LAST, abort_pdu, association_request, pdata, store_request
from tests.receiving import SENDER, associated, listening, resources, stored, until_alone
from tests.synthetic_ct import write_ct_series
from tests.toy_core import Toy, toy_core
from willis_service.adapters.dicom.receiver import RunningReceiver
from willis_service.bootstrap.receiving import receiver_of

ACCEPTED, REJECTED, RELEASED, ABORTED = 0x02, 0x03, 0x06, 0x07
ROUNDS = 2000
REQUEST = association_request([CT], SENDER)
STORE = pdata(1, store_request(CT, "1.2.3", 1), COMMAND | LAST)


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return toy_core(tmp_path, allowed_ae_titles=SENDER, max_object_mb=1, max_associations=16)


@pytest.fixture
def running(toy: Toy) -> Iterator[RunningReceiver]:
    receiver = receiver_of(toy.core)
    limits = replace(receiver.limits, acse_timeout_s=0.3, dimse_timeout_s=1, network_timeout_s=1)
    with listening(replace(receiver, limits=limits)) as listens:
        yield listens


def reset(connection: socket.socket) -> None:
    """Close with a TCP reset, as a machine does that is switched off and on again."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def pdu(kind: int, length: int, body: bytes = b"") -> bytes:
    return struct.pack(">BBI", kind, 0, length) + body


def talk(port: int, *parts: bytes, after: Callable[[socket.socket], None] | None = None) -> bytes:
    """Send the parts, each one after an answer to the one before; all that came back."""
    answers = b""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        try:
            for number, part in enumerate(parts):
                if number:
                    answers += connection.recv(65536)
                connection.sendall(part)
            if after is not None:
                after(connection)
                return answers
            connection.shutdown(socket.SHUT_WR)
            while received := connection.recv(65536):
                answers += received
        except ConnectionError:
            pass
    return answers


MISBEHAVIOURS: dict[str, Callable[[int], bytes]] = {
    "connects and leaves": lambda port: talk(port),
    "connects and resets": lambda port: talk(port, b"", after=reset),
    "sends half a request": lambda port: talk(port, REQUEST[: len(REQUEST) // 2]),
    "resets within a request": lambda port: talk(port, REQUEST[:20], after=reset),
    "sends zeros": lambda port: talk(port, bytes(64)),
    "speaks HTTP": lambda port: talk(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "claims a request of 4 GB": lambda port: talk(port, pdu(1, 0xFFFFFFFF)),
    "aborts after the request": lambda port: talk(port, REQUEST, abort_pdu()),
    "leaves after the request": lambda port: talk(port, REQUEST, b""),
    "sends a second request": lambda port: talk(port, REQUEST, REQUEST),
    "sends an unknown PDU": lambda port: talk(port, REQUEST, pdu(0x42, 4, b"abcd")),
    "claims a PDU of 4 GB": lambda port: talk(port, REQUEST, pdu(4, 0xFFFFFFF0)),
    "sends a PDV too long": lambda port: talk(
        port, REQUEST, pdu(4, 10, struct.pack(">IBB", 99, 1, 3) + b"1234")
    ),
    "sends a PDV too short": lambda port: talk(
        port, REQUEST, pdu(4, 6, struct.pack(">IBB", 1, 1, 3))
    ),
    "uses an unknown context": lambda port: talk(port, REQUEST, pdata(99, b"1234", COMMAND | LAST)),
    "sends data without command": lambda port: talk(port, REQUEST, pdata(1, b"1234", LAST)),
    "sends a garbled command": lambda port: talk(port, REQUEST, pdata(1, b"\1\2\3" * 9, 3)),
    "sends a command in the data": lambda port: talk(port, REQUEST, STORE + STORE),
    "aborts within an object": lambda port: talk(
        port, REQUEST, STORE + pdata(1, b"x" * 5000, 0) + abort_pdu()
    ),
    "leaves within an object": lambda port: talk(port, REQUEST, STORE + pdata(1, b"x" * 9999, 0)),
    "resets within an object": lambda port: talk(
        port, REQUEST, STORE + pdata(1, b"x" * 5000, 0), after=reset
    ),
    "answers what nobody asked": lambda port: talk(
        port, REQUEST, pdata(1, store_request(CT, "1.2.3", 1).replace(b"\1\0", b"\1\x80"), 3)
    ),
}


@pytest.mark.parametrize("name", MISBEHAVIOURS)
def test_each_misbehaviour_ends_the_connection_and_the_receiver_serves_on(running, toy, name):
    MISBEHAVIOURS[name](running.port)
    until_alone(running)

    with associated(running, "1.2.840.10008.1.1") as association:
        assert association.send_c_echo().Status == 0x0000
    assert [path for path in toy.core.settings.data_dir.rglob("*.part")] == []


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("sends a second request", (2, 2)),
        ("sends an unknown PDU", (2, 1)),
        ("claims a PDU of 4 GB", (2, 6)),
        ("uses an unknown context", (2, 6)),
        ("sends data without command", (2, 2)),
    ],
)
def test_a_breach_of_the_protocol_is_answered_with_an_abort_that_names_it(running, name, code):
    answer = MISBEHAVIOURS[name](running.port)

    assert answer[-10:] == pdu(ABORTED, 4, bytes([0, 0, *code]))


def test_thousands_of_broken_associations_leave_no_thread_no_descriptor_and_no_file(
    running, toy, tmp_path
):
    for act in MISBEHAVIOURS.values():
        act(running.port)
    until_alone(running)
    before = resources()

    kinds = list(MISBEHAVIOURS.values())
    for number in range(ROUNDS):
        kinds[number % len(kinds)](running.port)
    until_alone(running)

    threads, descriptors = resources()
    assert threads <= before[0] and descriptors <= before[1]
    files = write_ct_series(tmp_path / "ct", shape=(2, 32, 32))
    with associated(running, CT) as association:
        assert [association.send_c_store(file).Status for file in files] == [0, 0]
    assert len(stored(toy, files)) == 2
    assert [path for path in toy.core.settings.data_dir.rglob("*.part")] == []


@pytest.mark.parametrize("seed", range(8))
def test_random_bytes_at_every_stage_end_in_an_answer_or_an_end(running, seed):
    rng = random.Random(seed)
    starts = (b"", REQUEST, REQUEST[:6], STORE)
    for _ in range(25):
        garbage = bytearray(rng.randbytes(rng.randint(1, 300)))
        if rng.random() < 0.7:
            garbage[0] = rng.randint(1, 7)
            garbage[1:6] = struct.pack(">BI", 0, rng.choice([0, 4, len(garbage), 0x7FFFFFFF]))
        start = rng.choice(starts)
        if start in (REQUEST, STORE):
            talk(running.port, REQUEST, (STORE if start is STORE else b"") + bytes(garbage))
        else:
            talk(running.port, start + bytes(garbage))
    until_alone(running)

    with associated(running, "1.2.840.10008.1.1") as association:
        assert association.send_c_echo().Status == 0x0000


@pytest.mark.parametrize("seed", range(4))
def test_requests_with_flipped_bytes_are_accepted_rejected_or_aborted(running, seed):
    rng = random.Random(seed)
    kinds = set()
    for _ in range(20):
        request = bytearray(REQUEST)
        for _ in range(rng.randint(1, 4)):
            request[rng.randrange(6, len(request))] = rng.randrange(256)
        if answer := talk(running.port, bytes(request)):
            kinds.add(answer[0])

    assert kinds <= {ACCEPTED, REJECTED, ABORTED}


def test_an_association_on_which_nothing_happens_is_aborted(running):
    with socket.create_connection(("127.0.0.1", running.port), timeout=20) as connection:
        connection.sendall(REQUEST)
        assert connection.recv(65536)[0] == ACCEPTED
        assert connection.recv(65536)[0] == ABORTED
        assert connection.recv(65536) == b""
    until_alone(running)


def test_a_connection_that_asks_for_nothing_is_ended(running):
    with socket.create_connection(("127.0.0.1", running.port), timeout=20) as connection:
        assert connection.recv(65536)[0] == ABORTED


def test_a_message_that_stops_half_way_is_ended(running, toy):
    with socket.create_connection(("127.0.0.1", running.port), timeout=20) as connection:
        connection.sendall(REQUEST)
        connection.recv(65536)
        connection.sendall(STORE + pdata(1, b"x" * 100, 0))
        assert connection.recv(65536)[0] == ABORTED
    until_alone(running)
    assert [path for path in toy.core.settings.data_dir.rglob("*.part")] == []


def test_a_receiver_that_stops_aborts_who_does_not_end_and_frees_everything(toy):
    before = resources()
    with listening(receiver_of(toy.core)) as running:
        connection = socket.create_connection(("127.0.0.1", running.port), timeout=20)
        connection.sendall(REQUEST)
        connection.recv(65536)
        running.stop(0.2)

        assert connection.recv(65536)[0] == ABORTED
        connection.close()
        until_alone(running)
    assert resources() <= before
