"""A storage user on a bare socket: exactly the bytes that a test wants, and exactly what came back.

The library that the service is partly built on encodes the association request and nothing else, so
a test can stop in the middle of a PDU, and what was acknowledged is known to the byte.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import build_context

CT = "1.2.840.10008.5.1.4.1.1.2"
SUCCESS, OUT_OF_RESOURCES = 0x0000, 0xA700
_ACCEPT, _REJECT, _DATA, _RELEASE, _RELEASED, _ABORT = 0x02, 0x03, 0x04, 0x05, 0x06, 0x07
_FRAGMENT_BYTES = 16_000
_TIMEOUT_S = 90.0
LAST, COMMAND = 0x02, 0x01


class NotAssociated(OSError):
    """The peer did not let us in, or ended the association; nothing more was acknowledged."""


@dataclass
class Wire:
    """One open association. Every method raises OSError where the peer is gone."""

    connection: socket.socket
    contexts: dict[str, int]
    _message: int = 0
    _buffer: bytearray = field(default_factory=bytearray)

    def store(self, sop_class: str, sop_instance: str, data_set: bytes) -> int:
        """Send one instance; the status that the peer answered with."""
        self._message = self._message % 0xFFFF + 1
        context = self.contexts[sop_class]
        request = store_request(sop_class, sop_instance, self._message)
        self.connection.sendall(
            pdata(context, request, COMMAND | LAST) + b"".join(_fragments(context, data_set))
        )
        return self._status()

    def release(self) -> None:
        """End in good order."""
        self.connection.sendall(struct.pack(">BBIxxxx", _RELEASE, 0, 4))
        kind, _ = self._pdu()
        if kind != _RELEASED:
            raise NotAssociated(f"a release was answered with PDU {kind}")

    def abort(self) -> None:
        """End at once (A-ABORT)."""
        self.connection.sendall(abort_pdu())

    def _status(self) -> int:
        command = b""
        while True:
            kind, body = self._pdu()
            if kind != _DATA:
                raise NotAssociated(f"PDU {kind} came instead of an answer")
            length, _, control = struct.unpack(">IBB", body[:6])
            command += body[6 : 4 + length]
            if control & LAST:
                return status_of(command, self._message)

    def _pdu(self) -> tuple[int, bytes]:
        kind, length = struct.unpack(">BxI", self._take(6))
        return kind, self._take(length)

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            received = self.connection.recv(65_536)
            if not received:
                raise NotAssociated("the peer closed the connection")
            self._buffer += received
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken


@contextmanager
def associated(
    port: int,
    sop_classes: Sequence[str] = (CT,),
    sender: str = "SCANNER",
    timeout_s: float = _TIMEOUT_S,
    syntax: str = ExplicitVRLittleEndian,
) -> Iterator[Wire]:
    """An association that is closed without a word in the end: release or abort it before."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(association_request(sop_classes, sender, syntax))
        wire = Wire(connection, {name: 2 * n + 1 for n, name in enumerate(sop_classes)})
        kind, body = wire._pdu()
        if kind != _ACCEPT:
            raise NotAssociated(f"PDU {kind} {body.hex()} answered the request")
        wire.contexts = {name: n for name, n in wire.contexts.items() if n in _accepted(body)}
        yield wire


def association_request(
    sop_classes: Sequence[str], sender: str = "SCANNER", syntax: str = ExplicitVRLittleEndian
) -> bytes:
    """An A-ASSOCIATE-RQ PDU."""
    request: Any = A_ASSOCIATE()
    request.application_context_name = "1.2.840.10008.3.1.1.1"
    request.calling_ae_title, request.called_ae_title = sender, "WILLIS"
    contexts = [build_context(name, syntax) for name in sop_classes]
    for number, context in enumerate(contexts):
        context.context_id = 2 * number + 1
    request.presentation_context_definition_list = contexts
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received = 65_536
    implementation.implementation_class_uid = "1.2.826.0.1.3680043.10.1"
    request.user_information = [length, implementation]
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(request)
    return bytes(pdu.encode())


def _accepted(body: bytes) -> set[int]:
    answer: Any = A_ASSOCIATE_AC()
    answer.decode(struct.pack(">BBI", _ACCEPT, 0, len(body)) + body)
    return {item.context_id for item in answer.presentation_context if item.result == 0}


def store_request(sop_class: str, sop_instance: str, message: int) -> bytes:
    """The command set of a C-STORE request (PS3.7 table 9.3-1), implicit little endian."""
    elements = (
        _element(0x0002, _uid(sop_class))
        + _element(0x0100, struct.pack("<H", 0x0001))
        + _element(0x0110, struct.pack("<H", message))
        + _element(0x0700, struct.pack("<H", 0))
        + _element(0x0800, struct.pack("<H", 0x0001))
        + _element(0x1000, _uid(sop_instance))
    )
    return _element(0x0000, struct.pack("<I", len(elements))) + elements


def pdata(context: int, fragment: bytes, control: int) -> bytes:
    """A P-DATA-TF PDU with one fragment."""
    value = struct.pack(">IBB", len(fragment) + 2, context, control) + fragment
    return struct.pack(">BBI", _DATA, 0, len(value)) + value


def abort_pdu() -> bytes:
    """An A-ABORT by the service user."""
    return struct.pack(">BBIBBBB", _ABORT, 0, 4, 0, 0, 0, 0)


def status_of(command: bytes, message: int) -> int:
    """The status in an answer to this message."""
    values, at = {}, 0
    while at + 8 <= len(command):
        group, element, length = struct.unpack_from("<HHI", command, at)
        values[group, element] = command[at + 8 : at + 8 + length]
        at += 8 + length
    (answered,) = struct.unpack("<H", values[0x0000, 0x0120])
    if answered != message:
        raise NotAssociated(f"message {message} was answered as {answered}")
    (status,) = struct.unpack("<H", values[0x0000, 0x0900])
    return int(status)


def _fragments(context: int, data_set: bytes) -> Iterator[bytes]:
    for start in range(0, len(data_set), _FRAGMENT_BYTES):
        end = start + _FRAGMENT_BYTES
        yield pdata(context, data_set[start:end], LAST if end >= len(data_set) else 0)


def _element(element: int, value: bytes) -> bytes:
    return struct.pack("<HHI", 0x0000, element, len(value)) + value


def _uid(value: str) -> bytes:
    raw = value.encode()
    return raw + b"\0" * (len(raw) % 2)
