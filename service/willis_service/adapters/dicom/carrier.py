"""Carries results by C-STORE: one job in one association, each answer reported as it comes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom import uid
from pynetdicom.association import Association

from willis_models.errors import DecodingError, DestinationRefused, DestinationUnreachable
from willis_service.adapters.dicom.associate import Context, Requestor, accepted
from willis_service.adapters.dicom.sender import context_of
from willis_service.adapters.dicom.store_status import outcome_of
from willis_service.application.ports.delivering import Parcel, Report
from willis_service.domain.delivery import UNREACHABLE, Outcome, Postponed, Refused
from willis_service.domain.job import Priority
from willis_service.domain.peers import Destination

_PRIORITIES = {Priority.URGENT: 1, Priority.ROUTINE: 0}  # PS3.7 9.1.1.1: high, medium


@dataclass(frozen=True)
class DicomCarrier:
    """A storage user for one archive."""

    peer: Destination
    requestor: Requestor

    def __call__(self, parcels: Sequence[Parcel], report: Report) -> None:
        """Send one job's objects in order; report each as soon as its answer is there."""
        readable = [p for p in parcels if _is_readable(p, report)]
        if not readable:
            return
        contexts = list(dict.fromkeys(c for p in readable for c in _offers(p)))
        try:
            with self.requestor.associate(self.peer, contexts) as association:
                self._store_all(association, readable, report)
        except DestinationUnreachable as error:
            _report_rest(readable, Postponed(UNREACHABLE, error.message, is_away=True), report)
        except DestinationRefused as error:
            _report_rest(readable, Refused("ASSOCIATION_REFUSED", error.message), report)

    def _store_all(
        self, association: Association, parcels: Sequence[Parcel], report: Report
    ) -> None:
        taken = accepted(association)
        for parcel in parcels:
            if not association.is_established:
                # Not offered: it is safe to say that this one is not there.
                message = f"{self.peer} ended the association before this object."
                report(parcel, Postponed("NOT_OFFERED", message, is_away=True))
            elif taken.isdisjoint(_offers(parcel)):
                sop_class = parcel.delivery.sop_class_uid
                message = f"{self.peer} takes no {sop_class} in any encoding offered."
                report(parcel, Refused("NO_CONTEXT", message))
            else:
                report(parcel, _store(association, parcel))


def _store(association: Association, parcel: Parcel) -> Outcome:
    try:
        answer = association.send_c_store(
            parcel.path, priority=_PRIORITIES[parcel.delivery.priority]
        )
    except RuntimeError:
        # The association ended between our look and the call, before anything was sent.
        return Postponed("NOT_OFFERED", "The association ended.", is_away=True)
    return outcome_of(answer.get("Status"))


def _is_readable(parcel: Parcel, report: Report) -> bool:
    try:
        context_of(parcel.path)
    except (DecodingError, OSError) as error:
        report(parcel, Refused("RESULT_UNREADABLE", f"The file: {type(error).__name__}."))
        return False
    return True


def _offers(parcel: Parcel) -> tuple[Context, ...]:
    """The encoding that the file has; beside it the one that every DICOM application takes."""
    sop_class, syntax = context_of(parcel.path)
    if syntax == uid.ExplicitVRLittleEndian:
        return (sop_class, syntax), (sop_class, str(uid.ImplicitVRLittleEndian))
    return ((sop_class, syntax),)


def _report_rest(parcels: Sequence[Parcel], outcome: Outcome, report: Report) -> None:
    # Whoever reports twice is not heard the second time: what is confirmed stays confirmed.
    for parcel in parcels:
        report(parcel, outcome)
