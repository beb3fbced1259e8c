"""The answer to a request for an association: which contexts, or why not (PS3.8 9.3).

pynetdicom reads and writes the PDUs and negotiates the contexts; what is decided is decided here.
Only one answer leaves for one request, and nothing is decided after a no (R1).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pydicom import uid
from pynetdicom import build_context
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
)
from pynetdicom.presentation import (
    AllStoragePresentationContexts,
    PresentationContext,
    negotiate_as_acceptor,
)

from willis_service.adapters.dicom.file_meta import IMPLEMENTATION_UID, IMPLEMENTATION_VERSION
from willis_service.adapters.dicom.wire import INVALID_PARAMETER, ProtocolViolation
from willis_service.domain.commitment import PUSH_MODEL_CLASS
from willis_service.domain.peers import SenderList

VERIFICATION = "1.2.840.10008.1.1"
_APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
_STANDARD_ROOT = "1.2.840.10008."

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
_PLAIN_SYNTAXES = (uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian)

_Item = (
    MaximumLengthNotification
    | ImplementationClassUIDNotification
    | ImplementationVersionNameNotification
    | AsynchronousOperationsWindowNegotiation
)

STORAGE_CLASSES = frozenset(
    str(context.abstract_syntax) for context in AllStoragePresentationContexts
)

# A-ASSOCIATE-RJ: result, source, reason (PS3.8 table 9-21).
_NO_SUCH_CONTEXT_NAME = (1, 1, 2)
_CALLER_UNKNOWN = (1, 1, 3)
_CALLED_UNKNOWN = (1, 1, 7)
_NO_SUCH_VERSION = (1, 2, 2)
_CONGESTED = (2, 3, 1)
_LIMIT_EXCEEDED = (2, 3, 2)


@dataclass(frozen=True)
class AcceptedContext:
    """What an accepted presentation context is for."""

    sop_class_uid: str
    transfer_syntax_uid: str


@dataclass(frozen=True)
class Accepted:
    """An association as negotiated. ``reply`` is its A-ASSOCIATE-AC."""

    calling_ae_title: str
    address: str
    contexts: Mapping[int, AcceptedContext]
    reply: bytes


@dataclass(frozen=True)
class Rejected:
    """A no. ``reply`` is the A-ASSOCIATE-RJ, ``reason`` is for the log."""

    reason: str
    reply: bytes


@dataclass(frozen=True)
class Acceptor:
    """Who and what is let in. ``has_room`` tells whether the disk has space for a study."""

    ae_title: str
    senders: SenderList
    max_pdu_bytes: int
    has_room: Callable[[], bool]
    takes_private_classes: bool = False
    takes_commitment_requests: bool = False
    takes_commitment_reports: bool = False

    def answer(self, request_pdu: bytes, address: str, is_free: bool) -> Accepted | Rejected:
        """Accept or reject. ``is_free`` is False where the limit of associations is reached.

        Raises ProtocolViolation for a PDU that is no request.
        """
        request = _decoded(request_pdu)
        for refusal, reason, applies in (
            (_NO_SUCH_VERSION, "protocol version", not request_pdu[7] & 1),
            (
                _NO_SUCH_CONTEXT_NAME,
                "application context",
                request.application_context_name != _APPLICATION_CONTEXT,
            ),
            (
                _CALLED_UNKNOWN,
                "called AE title",
                request.called_ae_title.strip() != self.ae_title,
            ),
            (
                _CALLER_UNKNOWN,
                "calling AE title",
                not self.senders.admits(request.calling_ae_title, address),
            ),
            (_LIMIT_EXCEEDED, "too many associations", not is_free),
        ):
            if applies:
                return _rejected(reason, refusal)
        if not self.has_room():
            return _rejected("disk reserve", _CONGESTED)
        return self._accepted(request, address)

    def prepare(self) -> None:
        """Build now what would keep the first peer waiting."""
        _ = self._supported

    @cached_property
    def _supported(self) -> Sequence[PresentationContext]:
        contexts = [build_context(VERIFICATION, list(_PLAIN_SYNTAXES))]
        contexts += [build_context(sop, list(TRANSFER_SYNTAXES)) for sop in sorted(STORAGE_CLASSES)]
        if self.takes_commitment_requests or self.takes_commitment_reports:
            context = build_context(PUSH_MODEL_CLASS, list(_PLAIN_SYNTAXES))
            # Of all classes only this one is offered in both roles: an archive that reports to us
            # opens the association as the provider. Elsewhere role selection is ignored.
            context.scu_role = self.takes_commitment_requests
            context.scp_role = self.takes_commitment_reports
            contexts.append(context)
        return contexts

    def _accepted(self, request: A_ASSOCIATE, address: str) -> Accepted:
        proposed = request.presentation_context_definition_list
        roles = {
            item.sop_class_uid: (item.scu_role, item.scp_role)
            for item in request.user_information
            if isinstance(item, SCP_SCU_RoleSelectionNegotiation) and item.sop_class_uid
        }
        supported = [*self._supported, *self._private(proposed)]
        results, role_items = negotiate_as_acceptor(proposed, supported, roles)
        contexts = {
            c.context_id: AcceptedContext(str(c.abstract_syntax), str(c.transfer_syntax[0]))
            for c in results
            if c.result == 0 and c.context_id is not None
        }
        reply = self._reply(request, results, role_items)
        return Accepted(request.calling_ae_title.strip(), address, contexts, reply)

    def _private(self, proposed: Sequence[PresentationContext]) -> Sequence[PresentationContext]:
        if not self.takes_private_classes:
            return ()
        classes = {str(context.abstract_syntax) for context in proposed}
        return [
            build_context(sop, list(TRANSFER_SYNTAXES))
            for sop in classes
            if not sop.startswith(_STANDARD_ROOT)
        ]

    def _reply(
        self,
        request: A_ASSOCIATE,
        results: Sequence[PresentationContext],
        roles: Sequence[SCP_SCU_RoleSelectionNegotiation],
    ) -> bytes:
        primitive = A_ASSOCIATE()
        primitive.application_context_name = _APPLICATION_CONTEXT
        primitive.calling_ae_title = request.calling_ae_title
        primitive.called_ae_title = request.called_ae_title
        primitive.result, primitive.result_source = 0, 1
        primitive.presentation_context_definition_results_list = list(results)
        primitive.user_information = [*self._user_information(), *_window(request), *roles]
        pdu = A_ASSOCIATE_AC()
        pdu.from_primitive(primitive)
        return bytes(pdu.encode())

    def _user_information(self) -> Sequence[_Item]:
        length = MaximumLengthNotification()
        length.maximum_length_received = self.max_pdu_bytes
        implementation = ImplementationClassUIDNotification()
        version = ImplementationVersionNameNotification()
        implementation.implementation_class_uid = IMPLEMENTATION_UID
        version.implementation_version_name = IMPLEMENTATION_VERSION
        return (length, implementation, version)


def _decoded(request_pdu: bytes) -> A_ASSOCIATE:
    try:
        pdu = A_ASSOCIATE_RQ()
        pdu.decode(request_pdu)
        request = pdu.to_primitive()
        if not request.presentation_context_definition_list or not request.user_information:
            raise ValueError("The request lacks an item that it must have.")
        return request
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, struct.error) as error:
        raise ProtocolViolation("a request that can't be read", INVALID_PARAMETER) from error


def _window(request: A_ASSOCIATE) -> Sequence[_Item]:
    """One operation at a time, said to whoever asked for more (PS3.7 D.3.3.3)."""
    asked = AsynchronousOperationsWindowNegotiation
    if not any(isinstance(item, asked) for item in request.user_information):
        return ()
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = 1
    window.maximum_number_operations_performed = 1
    return (window,)


def _rejected(reason: str, refusal: tuple[int, int, int]) -> Rejected:
    primitive = A_ASSOCIATE()
    primitive.result, primitive.result_source, primitive.diagnostic = refusal
    pdu = A_ASSOCIATE_RJ()
    pdu.from_primitive(primitive)
    return Rejected(reason, bytes(pdu.encode()))
