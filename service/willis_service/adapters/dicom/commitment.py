"""Sends the report of a storage commitment: N-EVENT-REPORT, as its provider (PS3.4 annex J.3.3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_role

from willis_models.errors import DestinationRefused, DestinationUnreachable
from willis_service.adapters.dicom.associate import Requestor
from willis_service.domain.commitment import (
    PUSH_MODEL_CLASS,
    PUSH_MODEL_INSTANCE,
    CommitmentReport,
    Reference,
)
from willis_service.domain.peers import Destination

_SUCCESS = 0x0000
_TRY_LATER = (0x0110, 0x0213)  # processing failure, resource limitation
_CONTEXTS = [
    (PUSH_MODEL_CLASS, str(syntax)) for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
]


@dataclass(frozen=True)
class CommitmentReporter:
    """Reports on an association that we open in the provider's role."""

    requestor: Requestor

    def __call__(self, report: CommitmentReport, destination: Destination) -> None:
        """Send the report. Raises DestinationUnreachable (try later) or DestinationRefused.

        Who opens an association is the user, unless both agree otherwise (PS3.7 D.3.3.4). A
        requester that answers no role gets its report all the same: only providers send them.
        """
        role = build_role(PUSH_MODEL_CLASS, scp_role=True)
        with self.requestor.associate(destination, _CONTEXTS, [role]) as association:
            if not association.accepted_contexts:
                raise DestinationRefused(f"{destination} takes no storage commitment reports.")
            answer, _ = association.send_n_event_report(
                event_information(report), report.event_type, PUSH_MODEL_CLASS, PUSH_MODEL_INSTANCE
            )
        _check(getattr(answer, "Status", None), destination)


def event_information(report: CommitmentReport) -> Dataset:
    """The data set of the event (PS3.4 table J.3.3-1)."""
    event = Dataset()
    event.TransactionUID = report.transaction_uid
    if report.committed:
        event.ReferencedSOPSequence = _references(report.committed)
    if report.failed:
        event.FailedSOPSequence = _references(failure.reference for failure in report.failed)
        for item, failure in zip(event.FailedSOPSequence, report.failed, strict=True):
            item.FailureReason = int(failure.reason)
    return event


def _references(references: Iterable[Reference]) -> Sequence:
    items = []
    for reference in references:
        item = Dataset()
        item.ReferencedSOPClassUID = reference.sop_class_uid
        item.ReferencedSOPInstanceUID = reference.sop_instance_uid
        items.append(item)
    return Sequence(items)


def _check(status: int | None, to: Destination) -> None:
    if status is None:
        raise DestinationUnreachable(f"{to} ended the association before it answered.")
    if status in _TRY_LATER:
        raise DestinationUnreachable(f"{to} can't take the report now (status 0x{status:04X}).")
    if status != _SUCCESS:
        raise DestinationRefused(f"{to} refused the report with status 0x{status:04X}.")
