"""The DICOM receiver: a port, one thread for each association, and limits on purpose (R6).

The associations are served by code of our own instead of pynetdicom's, whose polling and objects
for every fragment cost more than everything else between the network and the disk. Its codecs and
its negotiation stay in use.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from willis_service.adapters.dicom import dimse, wire
from willis_service.adapters.dicom.acceptance import Accepted, AcceptedContext, Acceptor, Rejected
from willis_service.adapters.dicom.association import Association, Patience, Service
from willis_service.adapters.dicom.commitment_service import (
    CommitmentService,
    ReportCommitment,
    RequestCommitment,
)
from willis_service.adapters.dicom.dimse import Command
from willis_service.adapters.dicom.receive_object import Sink, Waste
from willis_service.adapters.dicom.statuses import SUCCESS
from willis_service.adapters.dicom.storage_service import ObjectStore, StorageService
from willis_service.adapters.dicom.wire import ConnectionEnded, ProtocolViolation, Wire

_LOG = structlog.get_logger(__name__)
_LARGEST_REQUEST = 1024 * 1024
_BACKLOG = 128
# Connections that are no associations yet, or get a rejection: so many beyond the limit may wait.
_CROWD = 32
_LINGER_S = 2.0
_PASSING = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


@dataclass(frozen=True)
class ReceiverLimits:
    """What one receiver process bears."""

    max_pdu_bytes: int
    max_associations: int
    max_object_bytes: int
    acse_timeout_s: float
    dimse_timeout_s: float
    network_timeout_s: float


@dataclass(frozen=True)
class Receiver:
    """A storage provider over the application's intake.

    ``request_commitment`` and ``report_commitment`` are offered where they are given.
    """

    acceptor: Acceptor
    limits: ReceiverLimits
    objects: ObjectStore
    request_commitment: RequestCommitment | None = None
    report_commitment: ReportCommitment | None = None

    def start(self, *doors: Door) -> RunningReceiver:
        """Listen at each door. The associations run in threads of their own."""
        self.acceptor.prepare()
        running = RunningReceiver(self)
        try:
            for door in doors:
                running.open(door)
        except BaseException:
            running.stop(0)
            raise
        return running

    def services(self, accepted: Accepted) -> Mapping[int, Service]:
        """What an association may ask for, by command field."""
        sender = accepted.calling_ae_title
        storage = StorageService(self.objects, self.limits.max_object_bytes, sender)
        commitment = CommitmentService(
            self.request_commitment, self.report_commitment, sender, accepted.address
        )
        return {
            dimse.C_ECHO_RQ: _Echo(),
            dimse.C_STORE_RQ: storage,
            dimse.N_ACTION_RQ: commitment,
            dimse.N_EVENT_REPORT_RQ: commitment,
        }


@dataclass(frozen=True)
class Door:
    """An address to listen on; with ``tls`` everything on it is encrypted.

    ``is_shared`` lets several processes listen on the same port: the kernel spreads connections.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    is_shared: bool = False

    def listen(self) -> socket.socket:
        """Bind and listen. Raises OSError where the port is taken."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        return socket.create_server(
            (self.host, self.port), family=family, backlog=_BACKLOG, reuse_port=self.is_shared
        )


@dataclass
class _Guest:
    """A connection and the thread that serves it."""

    wire: Wire
    address: str
    is_association: bool = False


@dataclass
class RunningReceiver:
    """A receiver that listens."""

    receiver: Receiver
    _listeners: list[socket.socket] = field(default_factory=list)
    _guests: dict[threading.Thread, _Guest] = field(default_factory=dict)
    _is_stopping: bool = False
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def open(self, door: Door) -> None:
        """Listen at one more door."""
        listener = door.listen()
        self._listeners.append(listener)
        threading.Thread(
            target=self._welcome, args=(listener, door), name="dicom-door", daemon=True
        ).start()

    @property
    def port(self) -> int:
        """The port of the first door."""
        return self.ports[0]

    @property
    def ports(self) -> Sequence[int]:
        """The ports that it listens on."""
        return [int(listener.getsockname()[1]) for listener in self._listeners]

    @property
    def connections(self) -> int:
        """How many peers are connected now."""
        with self._changed:
            return len(self._guests)

    def stop(self, drain_s: float = 10.0) -> None:
        """Take no more associations, let the open ones end, abort what remains."""
        for listener in self._listeners:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
            listener.close()
        self._wait_for_guests(drain_s)
        self._is_stopping = True
        with self._changed:
            for guest in self._guests.values():
                guest.wire.interrupt()
        self._wait_for_guests(_LINGER_S)

    def _wait_for_guests(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        with self._changed:
            while self._guests and (left := end - time.monotonic()) > 0:
                self._changed.wait(left)

    def _welcome(self, listener: socket.socket, door: Door) -> None:
        while True:
            try:
                connection, address = listener.accept()
            except ConnectionError:
                continue
            except OSError as error:
                if listener.fileno() < 0 or self._is_stopping or not _is_passing(error):
                    return
                _LOG.error("no_connection", error=error.strerror)
                time.sleep(0.1)  # out of descriptors: one may be free soon
                continue
            self._admit(connection, str(address[0]), door)

    def _admit(self, connection: socket.socket, address: str, door: Door) -> None:
        # A status is one small packet that the sender waits for; Nagle's algorithm holds it back.
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        guest = _Guest(Wire(connection), address)
        thread = threading.Thread(
            target=self._serve, args=(guest, door), name="dicom-association", daemon=True
        )
        with self._changed:
            if len(self._guests) >= self.receiver.limits.max_associations + _CROWD:
                _LOG.warning("connection_closed", reason="crowd", address=address)
                guest.wire.close(0)
                return
            self._guests[thread] = guest
        try:
            thread.start()
        except RuntimeError:
            _LOG.error("connection_closed", reason="no thread", address=address)
            self._part(thread, guest, 0)

    def _serve(self, guest: _Guest, door: Door) -> None:
        try:
            with structlog.contextvars.bound_contextvars(address=guest.address):
                self._converse(guest, door)
        finally:
            self._part(threading.current_thread(), guest, _LINGER_S)

    def _part(self, thread: threading.Thread, guest: _Guest, linger_s: float) -> None:
        guest.is_association = False
        try:
            guest.wire.close(linger_s)
        finally:
            with self._changed:
                del self._guests[thread]
                self._changed.notify_all()

    def _converse(self, guest: _Guest, door: Door) -> None:
        try:
            guest.wire.set_patience(self.receiver.limits.acse_timeout_s)
            if door.tls is not None:
                guest.wire.start_tls(door.tls)
            accepted = self._negotiate(guest)
            if accepted is not None:
                self._association(guest, accepted).serve()
        except ConnectionEnded as end:
            _LOG.info("connection_ended", reason=end.reason)
            guest.wire.abort(*wire.BY_USER)
        except ProtocolViolation as violation:
            _LOG.warning("association_aborted", reason=violation.reason)
            guest.wire.abort(*violation.abort_code)
        except Exception as error:
            # The edge of one association: it ends, the receiver goes on (R4).
            _LOG.error("association_failed", error=type(error).__name__, exc_info=True)
            guest.wire.abort(*wire.BY_USER)

    def _negotiate(self, guest: _Guest) -> Accepted | None:
        kind, length = guest.wire.receive_header()
        if kind != wire.ASSOCIATE_RQ:
            raise ProtocolViolation(f"PDU type 0x{kind:02X} first", wire.UNEXPECTED_PDU)
        if length > _LARGEST_REQUEST:
            raise ProtocolViolation("a request without end")
        pdu = bytes([kind, 0]) + length.to_bytes(4, "big") + guest.wire.receive(length)
        answer = self.receiver.acceptor.answer(pdu, guest.address, self._claim_place(guest))
        guest.wire.send(answer.reply)
        if isinstance(answer, Rejected):
            _LOG.warning("association_rejected", reason=answer.reason)
            return None
        return answer

    def _claim_place(self, guest: _Guest) -> bool:
        with self._changed:
            taken = sum(other.is_association for other in self._guests.values())
            guest.is_association = taken < self.receiver.limits.max_associations
            return guest.is_association

    def _association(self, guest: _Guest, accepted: Accepted) -> Association:
        limits = self.receiver.limits
        return Association(
            wire=guest.wire,
            accepted=accepted,
            services=self.receiver.services(accepted),
            max_pdu_bytes=limits.max_pdu_bytes,
            patience=Patience(limits.dimse_timeout_s, limits.network_timeout_s),
            is_stopping=lambda: self._is_stopping,
        )


class _Echo:
    """C-ECHO: the answer says it all."""

    def receive(self, command: Command, context: AcceptedContext) -> Sink:
        """Nothing comes with it."""
        return Waste(SUCCESS)


def _is_passing(error: OSError) -> bool:
    return error.errno in _PASSING
