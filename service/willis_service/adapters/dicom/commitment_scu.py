"""Storage commitment as a user: ask an archive to vouch for objects (PS3.4 annex J)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from pydicom import Dataset
from pynetdicom import evt
from pynetdicom.events import Event
from pynetdicom.pdu import P_DATA_TF

from willis_models.errors import DestinationRefused, DestinationUnreachable
from willis_service.adapters.dicom.associate import Handler, Requestor
from willis_service.domain.commitment import PUSH_MODEL_CLASS, PUSH_MODEL_INSTANCE, Reference
from willis_service.domain.delivery import CommitmentAnswer
from willis_service.domain.peers import Destination

_CONTEXT = (PUSH_MODEL_CLASS, "1.2.840.10008.1.2.1")
_IMPLICIT = (PUSH_MODEL_CLASS, "1.2.840.10008.1.2")
_REQUEST = 1  # PS3.4 table J.3.2-1: the only action
_SUCCESS = 0x0000
_TRANSIENT = frozenset({0x0110, 0x0213})


@dataclass(frozen=True)
class CommitmentScu:
    """Asks one archive. Its report may come on the same association, or later on one of its own."""

    peer: Destination
    requestor: Requestor
    wait_s: float = 2.0
    """How long the association is kept for a report; an archive that is quick uses it."""

    def __call__(
        self, references: Sequence[Reference], transaction_uid: str
    ) -> CommitmentAnswer | None:
        """The answer where it comes at once, None where it comes later on its own.

        Raises DestinationUnreachable and DestinationRefused.
        """
        answers: list[CommitmentAnswer] = []
        confirmed = threading.Event()

        def reported(event: Event) -> tuple[int, None]:
            answer = commitment_answer(event.event_information)
            if answer.transaction_uid == transaction_uid:
                answers.append(answer)
            return _SUCCESS, None

        def sent(event: Event) -> None:
            # A release before our confirmation has left would cut it off, and the archive would
            # take its report for lost.
            if answers and isinstance(event.pdu, P_DATA_TF):
                confirmed.set()

        handlers: list[Handler] = [(evt.EVT_N_EVENT_REPORT, reported), (evt.EVT_PDU_SENT, sent)]
        contexts = [_CONTEXT, _IMPLICIT]
        with self.requestor.associate(self.peer, contexts, handlers=handlers) as association:
            status, _reply = association.send_n_action(
                _request(references, transaction_uid),
                _REQUEST,
                PUSH_MODEL_CLASS,
                PUSH_MODEL_INSTANCE,
            )
            _check(status, self.peer)
            confirmed.wait(self.wait_s)
        return answers[0] if answers else None


def commitment_answer(information: Dataset) -> CommitmentAnswer:
    """The event information of an N-EVENT-REPORT, as it came (PS3.4 table J.3.3-1)."""
    failed = information.get("FailedSOPSequence") or ()
    return CommitmentAnswer(
        transaction_uid=str(information.get("TransactionUID", "")),
        committed=tuple(_reference(i) for i in information.get("ReferencedSOPSequence") or ()),
        failed=tuple((_reference(i), int(i.get("FailureReason") or 0x0110)) for i in failed),
    )


def _reference(item: Dataset) -> Reference:
    sop_class, instance = item.get("ReferencedSOPClassUID"), item.get("ReferencedSOPInstanceUID")
    return Reference(str(sop_class), str(instance))


def _request(references: Sequence[Reference], transaction_uid: str) -> Dataset:
    request = Dataset()
    request.TransactionUID = transaction_uid
    request.ReferencedSOPSequence = []
    for reference in references:
        item = Dataset()
        item.ReferencedSOPClassUID = reference.sop_class_uid
        item.ReferencedSOPInstanceUID = reference.sop_instance_uid
        request.ReferencedSOPSequence.append(item)
    return request


def _check(status: Dataset, peer: Destination) -> None:
    code = status.get("Status")
    if code is None:
        raise DestinationUnreachable(f"{peer} gave no answer to the request for commitment.")
    if code == _SUCCESS:
        return
    message = f"{peer} answered the request for commitment with status 0x{code:04X}."
    raise (DestinationUnreachable if code in _TRANSIENT else DestinationRefused)(message)
