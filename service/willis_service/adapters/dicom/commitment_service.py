"""Storage commitment at our door: requests to us, and reports on what we asked for (PS3.4 J)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

from pydicom import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import UID

from willis_models.errors import DecodingError
from willis_service.adapters.dicom.acceptance import AcceptedContext
from willis_service.adapters.dicom.commitment_scu import commitment_answer
from willis_service.adapters.dicom.dimse import N_ACTION_RQ, Command
from willis_service.adapters.dicom.receive_object import InMemory, Sink, Waste
from willis_service.adapters.dicom.statuses import (
    INVALID_ARGUMENT,
    NO_SUCH_ACTION,
    NO_SUCH_CLASS,
    NO_SUCH_INSTANCE,
    RESOURCE_LIMITATION,
    SUCCESS,
    UNRECOGNISED_OPERATION,
    status_of,
)
from willis_service.domain.commitment import (
    PUSH_MODEL_CLASS,
    PUSH_MODEL_INSTANCE,
    CommitmentRequest,
    Reference,
)
from willis_service.domain.delivery import CommitmentAnswer

_REQUEST = 1  # PS3.4 table J.3.2-1: the only action
_REPORTS = (1, 2)  # PS3.4 table J.3.3-1: all committed, or some not

RequestCommitment = Callable[[CommitmentRequest], None]
ReportCommitment = Callable[[CommitmentAnswer], object]


@dataclass(frozen=True)
class CommitmentService:
    """Answers N-ACTION and N-EVENT-REPORT; either may be None, and is then refused.

    Both callables return when what they were told is durable, and raise errors of the tree.
    """

    request: RequestCommitment | None
    report: ReportCommitment | None
    sender: str
    address: str

    def receive(self, command: Command, context: AcceptedContext) -> Sink:
        """Where the data set of a request goes, its answer included."""
        is_request = command.kind == N_ACTION_RQ
        if (self.request if is_request else self.report) is None:
            return Waste(UNRECOGNISED_OPERATION)
        if {context.sop_class_uid, command.sop_class_uid} != {PUSH_MODEL_CLASS}:
            return Waste(NO_SUCH_CLASS)
        if command.sop_instance_uid != PUSH_MODEL_INSTANCE:
            return Waste(NO_SUCH_INSTANCE)
        if command.type_id not in ((_REQUEST,) if is_request else _REPORTS):
            return Waste(NO_SUCH_ACTION)
        if not command.has_data_set:
            return Waste(INVALID_ARGUMENT)
        act = self._take_request if is_request else self._take_report

        def handle(content: bytes) -> int:
            try:
                act(_decoded(content, context.transfer_syntax_uid))
            except DecodingError:
                return INVALID_ARGUMENT
            except Exception as error:
                return status_of(error)
            return SUCCESS

        return InMemory(handle, RESOURCE_LIMITATION)

    def _take_request(self, action: Dataset) -> None:
        references = tuple(map(_reference, action.get("ReferencedSOPSequence") or ()))
        transaction = _uid(action, "TransactionUID")
        if not references:
            raise DecodingError("The request names no object.")
        if self.request is not None:
            self.request(CommitmentRequest(transaction, self.sender, self.address, references))

    def _take_report(self, event: Dataset) -> None:
        _uid(event, "TransactionUID")
        if self.report is not None:
            self.report(commitment_answer(event))


def _decoded(content: bytes, transfer_syntax_uid: str) -> Dataset:
    implicit = UID(transfer_syntax_uid).is_implicit_VR
    try:
        data_set = read_dataset(BytesIO(content), implicit, is_little_endian=True)
        # Elements are decoded when they are looked at: here, where a fault is the sender's.
        for element in data_set.iterall():
            element.value  # noqa: B018
        return data_set
    except Exception as error:
        # Whatever pydicom stumbles over, the sender is told that the data set is the trouble.
        raise DecodingError("The data set can't be read.") from error


def _reference(item: Dataset) -> Reference:
    return Reference(_uid(item, "ReferencedSOPClassUID"), _uid(item, "ReferencedSOPInstanceUID"))


def _uid(data_set: Dataset, keyword: str) -> str:
    value = str(data_set.get(keyword) or "")
    if not 0 < len(value) <= 64:
        raise DecodingError(f"The data set has no usable {keyword}.")
    return value
