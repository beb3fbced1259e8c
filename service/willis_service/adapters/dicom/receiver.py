"""The C-STORE and C-ECHO provider: raw bytes in, an honest status out, nothing decoded."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from weakref import WeakKeyDictionary

import structlog
from pydicom import uid
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event, EventHandlerType
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.presentation import AllStoragePresentationContexts
from pynetdicom.transport import ThreadedAssociationServer

from willis_models.errors import DecodingError, StorageFull, UploadTooLarge, WillisError
from willis_service.adapters.dicom.incoming import received_instance
from willis_service.domain.instance import IncomingInstance, Receipt
from willis_service.domain.peers import SenderList

_LOG = structlog.get_logger(__name__)

# PS3.4 B.2.3 and PS3.7 annex C: what a sender is told, so that it knows whether to try again.
_VERIFICATION = uid.UID("1.2.840.10008.1.1")
SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
CANNOT_UNDERSTAND = 0xC000
DATA_SET_MISMATCH = 0xA900
STATUS_OF: Mapping[type[WillisError], int] = MappingProxyType(
    {
        StorageFull: 0xA700,  # out of resources: transient (R2)
        UploadTooLarge: 0x0213,  # resource limitation
        DecodingError: CANNOT_UNDERSTAND,
    }
)

# A-ASSOCIATE-RJ result, source, reason (PS3.8 table 9-21).
_CALLER_UNKNOWN = (0x01, 0x01, 0x03)
_CONGESTED = (0x02, 0x03, 0x01)

# Everything that the reader decodes or refuses by name, the uncompressed ones first. Lossy ones are
# taken as well: the study is then rejected with a reason instead of disappearing at the sender.
TRANSFER_SYNTAXES = (
    uid.ExplicitVRLittleEndian,
    uid.ImplicitVRLittleEndian,
    uid.DeflatedExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.RLELossless,
    uid.JPEGLosslessSV1,
    uid.JPEGLossless,
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
    uid.HTJ2KLossless,
    uid.HTJ2KLosslessRPCL,
    uid.JPEGBaseline8Bit,
    uid.JPEGExtended12Bit,
    uid.JPEGLSNearLossless,
    uid.JPEG2000,
    uid.HTJ2K,
)


@dataclass(frozen=True)
class ReceiverLimits:
    """What one receiver bears; chosen on purpose, since the library's defaults are not (R6)."""

    max_pdu_bytes: int
    max_associations: int
    max_object_bytes: int
    acse_timeout_s: float
    dimse_timeout_s: float
    network_timeout_s: float


@dataclass(frozen=True)
class Receiver:
    """A storage provider over the application's intake.

    ``take`` returns only when the instance is durable; ``has_room`` is asked before an association.
    """

    ae_title: str
    senders: SenderList
    limits: ReceiverLimits
    take: Callable[[IncomingInstance], Receipt]
    has_room: Callable[[], bool]
    _received_bytes: WeakKeyDictionary[Association, int] = field(
        default_factory=WeakKeyDictionary, repr=False
    )

    def start(self, host: str, port: int) -> RunningReceiver:
        """Listen. The associations run in threads of their own."""
        handlers: list[EventHandlerType] = [
            (evt.EVT_CONN_OPEN, _answer_at_once),
            (evt.EVT_REQUESTED, self._admit),
            (evt.EVT_PDU_RECV, self._bound_object),
            (evt.EVT_DIMSE_RECV, self._object_is_whole),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_ECHO, _echo),
        ]
        entity = self._entity()
        server = entity.start_server((host, port), block=False, evt_handlers=handlers)
        if server is None:
            raise RuntimeError("A server that does not block was asked for.")
        return RunningReceiver(entity, server)

    def _entity(self) -> AE:
        entity = AE(ae_title=self.ae_title)
        entity.require_called_aet = True
        entity.maximum_pdu_size = self.limits.max_pdu_bytes
        entity.maximum_associations = self.limits.max_associations
        entity.acse_timeout = self.limits.acse_timeout_s
        entity.dimse_timeout = self.limits.dimse_timeout_s
        entity.network_timeout = self.limits.network_timeout_s
        entity.add_supported_context(_VERIFICATION)
        for context in AllStoragePresentationContexts:
            if context.abstract_syntax is not None:
                entity.add_supported_context(context.abstract_syntax, list(TRANSFER_SYNTAXES))
        return entity

    def _admit(self, event: Event) -> None:
        """Reject before anything is negotiated; pynetdicom then does nothing more (R1)."""
        address = event.assoc.requestor.address or ""
        if not self.senders.admits(_calling_ae_title(event), address):
            _LOG.warning("association_rejected", reason="calling AE title", address=address)
            event.assoc.acse.send_reject(*_CALLER_UNKNOWN)
            event.assoc.kill()
        elif not self.has_room():
            _LOG.error("association_rejected", reason="disk reserve", address=address)
            event.assoc.acse.send_reject(*_CONGESTED)
            event.assoc.kill()

    def _bound_object(self, event: Event) -> None:
        """Abort a sender whose object outgrows the limit, before it fills the memory (R8)."""
        if not isinstance(event.pdu, P_DATA_TF):
            return
        size = sum(len(item) for item in event.pdu.presentation_data_value_items)
        total = self._received_bytes.get(event.assoc, 0) + size
        self._received_bytes[event.assoc] = total
        if total > self.limits.max_object_bytes:
            _LOG.warning("association_aborted", reason="object too large")
            event.assoc.abort()

    def _object_is_whole(self, event: Event) -> None:
        self._received_bytes[event.assoc] = 0

    def _store(self, event: Event) -> int:
        """Answer a C-STORE request; success only when the bytes are durable (R3)."""
        try:
            return self._status(event)
        except WillisError as error:
            _LOG.warning("instance_refused", code=error.code)
            return STATUS_OF.get(type(error), PROCESSING_FAILURE)
        except Exception as error:
            # The edge of the protocol: the sender gets an answer whatever broke (R4).
            _LOG.error("instance_failed", error=type(error).__name__, exc_info=True)
            return PROCESSING_FAILURE

    def _status(self, event: Event) -> int:
        request = event.request
        if not isinstance(request, C_STORE) or request.DataSet is None:
            return CANNOT_UNDERSTAND
        sender = _calling_ae_title(event)
        incoming = received_instance(event.file_meta, request.DataSet.getvalue(), sender)
        if incoming.sop_class_uid != str(request.AffectedSOPClassUID):
            return DATA_SET_MISMATCH
        if incoming.sop_instance_uid != str(request.AffectedSOPInstanceUID):
            return DATA_SET_MISMATCH
        if self.take(incoming) is Receipt.CONFLICT:
            _LOG.warning("instance_conflict", sender=sender)
        return SUCCESS


@dataclass(frozen=True)
class RunningReceiver:
    """A receiver that listens."""

    entity: AE
    server: ThreadedAssociationServer

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.server.server_address[1])

    def stop(self, drain_s: float = 10.0) -> None:
        """Take no more associations, let the open ones end, abort what remains."""
        self.server.shutdown()
        end = time.monotonic() + drain_s
        while self.entity.active_associations and time.monotonic() < end:
            time.sleep(0.05)
        self.entity.shutdown()


def _answer_at_once(event: Event) -> None:
    # A status is one small packet that the sender waits for; Nagle's algorithm would hold it back.
    if (transport := event.assoc.dul.socket) is not None and transport.socket is not None:
        transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _calling_ae_title(event: Event) -> str:
    primitive = event.assoc.requestor.primitive
    return "" if primitive is None else primitive.calling_ae_title.strip()


def _echo(event: Event) -> int:
    return SUCCESS
