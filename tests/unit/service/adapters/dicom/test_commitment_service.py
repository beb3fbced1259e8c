"""Storage commitment at the receiver's door: what is passed on, and what is refused how."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from willis_models.errors import DatabaseUnavailable, UnknownRequester, WillisError
from willis_service.adapters.dicom.acceptance import AcceptedContext
from willis_service.adapters.dicom.commitment_service import CommitmentService
from willis_service.adapters.dicom.dimse import N_ACTION_RQ, N_EVENT_REPORT_RQ, Command
from willis_service.domain.commitment import (
    PUSH_MODEL_CLASS,
    PUSH_MODEL_INSTANCE,
    CommitmentRequest,
    Reference,
)
from willis_service.domain.delivery import CommitmentAnswer

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
CT = "1.2.840.10008.5.1.4.1.1.2"


def action(**changes: object) -> Command:
    values = {
        "kind": N_ACTION_RQ,
        "message_id": 1,
        "sop_class_uid": PUSH_MODEL_CLASS,
        "sop_instance_uid": PUSH_MODEL_INSTANCE,
        "type_id": 1,
        "has_data_set": True,
    }
    return Command(**values | changes)


def item(sop: str) -> Dataset:
    made = Dataset()
    made.ReferencedSOPClassUID, made.ReferencedSOPInstanceUID = CT, sop
    return made


def data_set(*sops: str, transaction: str = "1.2.9", syntax: str = EXPLICIT) -> bytes:
    made = Dataset()
    made.TransactionUID = transaction
    made.ReferencedSOPSequence = [item(sop) for sop in sops]
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, syntax == IMPLICIT
    write_dataset(stream, made)
    return stream.getvalue()


class Heard:
    def __init__(self, error: WillisError | None = None) -> None:
        self.said: list[CommitmentRequest | CommitmentAnswer] = []
        self.error = error

    def __call__(self, what: CommitmentRequest | CommitmentAnswer) -> None:
        if self.error is not None:
            raise self.error
        self.said.append(what)


def status(
    service: CommitmentService, command: Command, content: bytes, syntax: str = EXPLICIT
) -> int:
    sink = service.receive(command, AcceptedContext(PUSH_MODEL_CLASS, syntax))
    for start in range(0, len(content), 40):
        part = content[start : start + 40]
        sink.room()[: len(part)] = part
        sink.filled(len(part))
    return sink.finish()


def service(request: Heard | None = None, report: Heard | None = None) -> CommitmentService:
    return CommitmentService(request, report, "SCANNER", "192.0.2.1")


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
def test_a_request_is_passed_on_with_who_asked_for_what(syntax):
    heard = Heard()

    answer = status(service(heard), action(), data_set("1.1", "1.2", syntax=syntax), syntax)

    expected = CommitmentRequest(
        "1.2.9", "SCANNER", "192.0.2.1", (Reference(CT, "1.1"), Reference(CT, "1.2"))
    )
    assert (answer, heard.said) == (0, [expected])


@pytest.mark.parametrize("type_id", [1, 2])
def test_a_report_is_passed_on(type_id):
    heard = Heard()
    report = action(kind=N_EVENT_REPORT_RQ, type_id=type_id)

    assert status(service(report=heard), report, data_set("1.1")) == 0
    assert heard.said == [CommitmentAnswer("1.2.9", (Reference(CT, "1.1"),), ())]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (action(sop_class_uid=CT), 0x0118),
        (action(sop_instance_uid="1.2.3"), 0x0112),
        (action(type_id=2), 0x0123),
        (action(has_data_set=False), 0x0115),
        (action(kind=N_EVENT_REPORT_RQ), 0x0211),
    ],
)
def test_each_reason_to_refuse_has_its_status(command, expected):
    heard = Heard()

    assert status(service(heard), command, data_set("1.1")) == expected
    assert heard.said == []


@pytest.mark.parametrize(
    "content",
    [data_set(), data_set("1.1", transaction=""), b"no data set", data_set("1.1")[:-4]],
)
def test_a_request_that_says_nothing_is_an_invalid_argument(content):
    heard = Heard()

    assert status(service(heard), action(), content) == 0x0115
    assert heard.said == []


@pytest.mark.parametrize(
    ("error", "expected"),
    [(UnknownRequester("who?"), 0x0124), (DatabaseUnavailable("busy"), 0xA700)],
)
def test_what_stands_in_the_way_is_told_apart(error, expected):
    assert status(service(Heard(error)), action(), data_set("1.1")) == expected


def test_a_request_without_end_is_not_kept_in_memory():
    sink = service(Heard()).receive(action(), AcceptedContext(PUSH_MODEL_CLASS, EXPLICIT))
    rooms: Sequence[int] = [len(sink.room()) for _ in range(3)]
    for _ in range((33 << 20) // rooms[0] + 1):
        sink.filled(len(sink.room()))

    assert sink.finish() == 0x0213
