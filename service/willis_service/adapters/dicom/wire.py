"""One end of a DICOM connection: whole pieces of PDUs in, PDUs out, every wait with a limit.

A piece is received straight into the memory where it is wanted; the kernel waits for all of it.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import time

# PS3.8 table 9-10 and following: the PDU types.
ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ = 0x01, 0x02, 0x03
P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = 0x04, 0x05, 0x06, 0x07
_WASTE_BYTES = 64 * 1024
_SHORTEST_PATIENCE_S = 0.001  # zero would mean to wait for ever
_PDU_HEADER, _ITEM_HEADER = struct.Struct(">BxI"), struct.Struct(">IBB")
_RELEASED = struct.pack(">BxI4x", RELEASE_RP, 4)

# A-ABORT source and reason (PS3.8 table 9-26).
BY_USER = (0, 0)
UNEXPECTED_PDU = (2, 2)
UNRECOGNISED_PDU = (2, 1)
INVALID_PARAMETER = (2, 6)


class ConnectionEnded(Exception):
    """The peer went away, or was silent for too long. ``reason`` is for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ProtocolViolation(Exception):
    """The peer broke the protocol: the association is to be aborted with ``abort_code``."""

    def __init__(self, reason: str, abort_code: tuple[int, int] = INVALID_PARAMETER) -> None:
        super().__init__(reason)
        self.reason = reason
        self.abort_code = abort_code


class Wire:
    """A connected socket. Raises ConnectionEnded where the peer ends it or lets us wait."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        # The kernel waits for all of a piece: one call for each instead of one for each packet.
        self._flags = int(socket.MSG_WAITALL)
        self._head = memoryview(bytearray(_PDU_HEADER.size))
        self._patience_s = 0.0

    def set_patience(self, seconds: float) -> None:
        """How long one piece may take to arrive or to leave."""
        if seconds == self._patience_s:
            return
        self._patience_s = seconds
        if isinstance(self._socket, ssl.SSLSocket):
            self._socket.settimeout(seconds)
            return
        # The kernel keeps the time: a Python timeout would make the socket non-blocking and cost
        # an extra system call and a wake-up for every fragment.
        limit = struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Become the server's end of a TLS connection."""
        self._socket.settimeout(self._patience_s)
        try:
            self._socket = context.wrap_socket(self._socket, server_side=True)
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or type(error).__name__
            raise ConnectionEnded(f"no TLS: {reason}") from error
        self._flags = 0

    def receive_into(self, view: memoryview) -> None:
        """Fill the whole view."""
        count = self._receive(view)
        if count < len(view):
            self._receive_rest(view[count:])

    def receive(self, size: int) -> bytearray:
        """So many bytes."""
        content = bytearray(size)
        if size:
            self.receive_into(memoryview(content))
        return content

    def receive_header(self) -> tuple[int, int]:
        """Type and length of the next PDU."""
        kind, length = _PDU_HEADER.unpack(self._receive_head())
        return kind, length

    def receive_item_header(self) -> tuple[int, int, int]:
        """Length, presentation context and control flags of the next value of a P-DATA-TF."""
        length, context_id, flags = _ITEM_HEADER.unpack(self._receive_head())
        return length, context_id, flags

    def send(self, content: bytes) -> None:
        """Send all of it."""
        try:
            self._socket.sendall(content)
        except OSError as error:
            raise ConnectionEnded(f"can't send: {type(error).__name__}") from error

    def send_release_reply(self) -> None:
        """A-RELEASE-RP."""
        self.send(_RELEASED)

    def abort(self, source: int, reason: int) -> None:
        """A-ABORT, as far as the peer still listens."""
        with contextlib.suppress(ConnectionEnded):
            self.send(struct.pack(">BxIxxBB", ABORT, 4, source, reason))

    def interrupt(self) -> None:
        """End the wait for the peer, from another thread; the last words still leave."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RD)

    def close(self, linger_s: float) -> None:
        """Close, once the peer has closed its end or this long has passed (PS3.8, ARTIM timer).

        Whoever closes first takes the peer's last words, or its own, off the line: some peers then
        see a broken connection where a rejection was sent.
        """
        waste = memoryview(bytearray(_WASTE_BYTES))
        end = time.monotonic() + linger_s
        with contextlib.suppress(OSError, ConnectionEnded):
            self.set_patience(max(linger_s, _SHORTEST_PATIENCE_S))
            self._flags = 0
            while time.monotonic() < end:
                self._receive(waste)
        with contextlib.suppress(OSError):
            self._socket.close()

    def _receive_head(self) -> memoryview:
        self.receive_into(self._head)
        return self._head

    def _receive(self, view: memoryview) -> int:
        try:
            count = self._socket.recv_into(view, 0, self._flags)
        except (TimeoutError, BlockingIOError) as error:
            raise ConnectionEnded("silent for too long") from error
        except (OSError, ValueError) as error:
            raise ConnectionEnded(f"broken: {type(error).__name__}") from error
        if count == 0:
            raise ConnectionEnded("closed by the peer")
        return count

    def _receive_rest(self, view: memoryview) -> None:
        """The rest of a piece that came in parts; a trickle does not make the wait longer."""
        end = time.monotonic() + self._patience_s
        while view:
            if time.monotonic() > end:
                raise ConnectionEnded("too slow")
            view = view[self._receive(view) :]
