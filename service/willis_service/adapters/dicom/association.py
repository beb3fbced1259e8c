"""One association, from the first byte to the last, in one thread (PS3.8 section 9, PS3.7)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from willis_service.adapters.dicom import dimse, wire
from willis_service.adapters.dicom.acceptance import Accepted, AcceptedContext
from willis_service.adapters.dicom.dimse import Command, read_command, write_response
from willis_service.adapters.dicom.receive_object import Sink, Waste
from willis_service.adapters.dicom.statuses import COMMENT_OF, UNRECOGNISED_OPERATION
from willis_service.adapters.dicom.wire import ProtocolViolation, Wire

_LOG = structlog.get_logger(__name__)
_ITEM_HEADER_BYTES = 6
_LARGEST_COMMAND = 64 * 1024
_IS_COMMAND, _IS_LAST = 0x01, 0x02


class Service(Protocol):
    """Answers one kind of request."""

    def receive(self, command: Command, context: AcceptedContext) -> Sink:
        """Where the data set of a request goes, its answer included."""
        ...


@dataclass(frozen=True)
class Patience:
    """How long an association waits."""

    within_message_s: float
    between_messages_s: float


@dataclass
class _Message:
    """A request whose data set is on its way."""

    command: Command
    context_id: int
    sink: Sink


@dataclass
class Association:
    """Serves requests until the peer releases or aborts.

    ``services`` are by command field; ``is_stopping`` is asked between messages.
    """

    wire: Wire
    accepted: Accepted
    services: Mapping[int, Service]
    max_pdu_bytes: int
    patience: Patience
    is_stopping: Callable[[], bool]
    _command: bytearray = field(default_factory=bytearray)
    _message: _Message | None = None
    _count: int = 0

    def serve(self) -> None:
        """Until the peer releases or aborts, or breaks the protocol.

        Raises ConnectionEnded and ProtocolViolation.
        """
        start = time.monotonic()
        try:
            while self._take_pdu():
                pass
        finally:
            if self._message is not None:
                self._message.sink.discard()
            seconds = round(time.monotonic() - start, 3)
            _LOG.info("association_ended", messages=self._count, seconds=seconds)

    def _take_pdu(self) -> bool:
        """One PDU; False after the last one."""
        is_between = self._message is None and not self._command
        if is_between and self.is_stopping():
            raise ProtocolViolation("the receiver stops", wire.BY_USER)
        patience = self.patience
        self.wire.set_patience(
            patience.between_messages_s if is_between else patience.within_message_s
        )
        kind, length = self.wire.receive_header()
        if kind == wire.P_DATA:
            self._take_values(length)
            return True
        if length != 4 or kind not in (wire.RELEASE_RQ, wire.ABORT):
            known = wire.ASSOCIATE_RQ <= kind <= wire.ABORT
            code = wire.UNEXPECTED_PDU if known else wire.UNRECOGNISED_PDU
            raise ProtocolViolation(f"PDU type 0x{kind:02X}", code)
        self.wire.receive(4)
        if kind == wire.RELEASE_RQ:
            self.wire.send_release_reply()
        return False

    def _take_values(self, length: int) -> None:
        """The presentation data values of a P-DATA-TF."""
        if length > self.max_pdu_bytes:
            raise ProtocolViolation("a PDU longer than agreed")
        while length:
            if length < _ITEM_HEADER_BYTES:
                raise ProtocolViolation("a PDV that ends early")
            item_length, context_id, flags = self.wire.receive_item_header()
            length -= item_length + 4
            if item_length < 2 or length < 0:
                raise ProtocolViolation("a PDV that does not fit its PDU")
            if context_id not in self.accepted.contexts:
                raise ProtocolViolation("a context that was not accepted")
            self._take_fragment(item_length - 2, context_id, flags)

    def _take_fragment(self, size: int, context_id: int, flags: int) -> None:
        if flags & _IS_COMMAND:
            self._take_command(size, context_id, bool(flags & _IS_LAST))
        else:
            self._take_data(size, context_id, bool(flags & _IS_LAST))

    def _take_command(self, size: int, context_id: int, is_last: bool) -> None:
        if self._message is not None:
            raise ProtocolViolation("a command within a data set", wire.UNEXPECTED_PDU)
        if len(self._command) + size > _LARGEST_COMMAND:
            raise ProtocolViolation("a command set without end")
        self._command += self.wire.receive(size)
        if is_last:
            command = read_command(self._command)
            self._command = bytearray()
            self._begin(command, context_id)

    def _begin(self, command: Command, context_id: int) -> None:
        self._count += 1
        if command.kind == dimse.C_CANCEL_RQ:
            return  # nothing that we do can be cancelled
        if command.kind & 0x8000:
            raise ProtocolViolation("a response to nothing", wire.UNEXPECTED_PDU)
        sink = self._sink(command, context_id)
        if command.has_data_set:
            self._message = _Message(command, context_id, sink)
        else:
            self._answer(command, context_id, sink)

    def _sink(self, command: Command, context_id: int) -> Sink:
        service = self.services.get(command.kind)
        if service is None:
            return Waste(UNRECOGNISED_OPERATION)
        return service.receive(command, self.accepted.contexts[context_id])

    def _take_data(self, size: int, context_id: int, is_last: bool) -> None:
        message = self._message
        if message is None or message.context_id != context_id:
            raise ProtocolViolation("a data set without its command", wire.UNEXPECTED_PDU)
        while size:
            room = message.sink.room()[:size]
            self.wire.receive_into(room)
            message.sink.filled(len(room))
            size -= len(room)
        if is_last:
            self._answer(message.command, context_id, message.sink)
            self._message = None

    def _answer(self, command: Command, context_id: int, sink: Sink) -> None:
        status = sink.finish()
        comment = COMMENT_OF.get(status, "")
        self.wire.send(write_response(command, context_id, status, comment))
