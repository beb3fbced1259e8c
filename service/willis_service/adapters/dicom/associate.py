"""Open an association as a requestor, and tell apart why that did not work (PS3.8)."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.pdu_primitives import A_ASSOCIATE, SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import build_context

from willis_models.errors import DestinationRefused, DestinationUnreachable
from willis_service.adapters.dicom.pause import pause_surely
from willis_service.domain.peers import Destination

MOST_CONTEXTS = 128  # PS3.8: odd identifiers from 1 to 255
_REJECTED_TRANSIENT = 0x02

Context = tuple[str, str]
"""SOP class and transfer syntax."""
Handler = tuple[evt.EventType, Callable[[Event], object]]


@dataclass(frozen=True)
class Timeouts:
    """How long a peer may take, in seconds, until it counts as away."""

    acse_s: float = 30
    dimse_s: float = 60
    network_s: float = 60


@dataclass(frozen=True)
class Requestor:
    """Our side of associations that we open; with a TLS context they are encrypted."""

    calling_ae_title: str
    timeouts: Timeouts = Timeouts()
    tls: ssl.SSLContext | None = None

    @contextmanager
    def associate(
        self,
        peer: Destination,
        contexts: Sequence[Context],
        roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
        handlers: Sequence[Handler] = (),
    ) -> Iterator[Association]:
        """An association that the peer accepted, with at least one context; released at the end.

        Raises DestinationUnreachable (try again later) and DestinationRefused (don't).
        """
        association = self._request(peer, contexts, roles, handlers)
        _check(association, peer)
        try:
            yield association
        finally:
            if association.is_established:
                association.release()

    def _request(
        self,
        peer: Destination,
        contexts: Sequence[Context],
        roles: Sequence[SCP_SCU_RoleSelectionNegotiation],
        handlers: Sequence[Handler],
    ) -> Association:
        entity = AE(ae_title=self.calling_ae_title)
        entity.acse_timeout = self.timeouts.acse_s
        entity.dimse_timeout = self.timeouts.dimse_s
        entity.network_timeout = self.timeouts.network_s
        entity.connection_timeout = self.timeouts.acse_s
        try:
            return entity.associate(
                peer.host,
                peer.port,
                contexts=[build_context(*one) for one in contexts],
                ae_title=peer.ae_title,
                ext_neg=list(roles),
                tls_args=None if self.tls is None else (self.tls, peer.host),
                evt_handlers=[(evt.EVT_CONN_OPEN, self._set_up_socket), *handlers],
            )
        except OSError as error:  # its name does not resolve, or no socket is left
            raise DestinationUnreachable(
                f"{peer} can't be reached ({type(error).__name__}): check host and port."
            ) from error

    def _set_up_socket(self, event: Event) -> None:
        pause_surely(event.assoc)
        transport = event.assoc.dul.socket
        if transport is None or transport.socket is None:
            return
        transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # The library's own reads and writes never end by themselves: a peer that stops in the
        # middle of a message would hold its thread for ever.
        longest = max(self.timeouts.dimse_s, self.timeouts.network_s)
        limit = struct.pack("ll", int(longest), int(longest % 1 * 1e6))
        transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)


def accepted(association: Association) -> frozenset[Context]:
    """The contexts that the peer took."""
    return frozenset(
        (str(one.abstract_syntax), str(one.transfer_syntax[0]))
        for one in association.accepted_contexts
        if one.abstract_syntax is not None
    )


def rejection_of(association: Association) -> A_ASSOCIATE | None:
    """The answer of a peer that rejected the association; None where none did.

    pynetdicom 3.0 may look whether it is connected only when the rejection has come and the line is
    closed. It then tells of a failed connection, and leaves the answer in its queue.
    """
    answers = [association.acceptor.primitive, *association.dul.to_user_queue.queue]
    return next((one for one in answers if isinstance(one, A_ASSOCIATE) and one.result), None)


def _check(association: Association, peer: Destination) -> None:
    if association.is_established:
        return
    answer = rejection_of(association)
    if answer is not None:
        reason = f"{peer} rejected the association (reason {answer.diagnostic})."
        if answer.result == _REJECTED_TRANSIENT:
            raise DestinationUnreachable(reason + " It asks to try again later.")
        raise DestinationRefused(reason + " Check the AE titles on both sides.")
    if association.rejected_contexts and not association.accepted_contexts:
        sop_class = association.rejected_contexts[0].abstract_syntax
        raise DestinationRefused(f"{peer} does not take {sop_class} in any encoding offered.")
    raise DestinationUnreachable(f"{peer} can't be reached: check host, port and firewall.")
