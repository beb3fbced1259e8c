import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.dimse_messages import C_STORE_RSP, N_ACTION_RSP
from pynetdicom.pdu import P_DATA_TF

from willis_service.adapters.dicom.dimse import (
    C_STORE_RQ,
    N_ACTION_RQ,
    Command,
    read_command,
    write_response,
)
from willis_service.adapters.dicom.wire import ProtocolViolation


def elements(values: dict[int, bytes]) -> bytes:
    return b"".join(struct.pack("<HHI", 0, tag, len(v)) + v for tag, v in values.items())


def us(value: int) -> bytes:
    return struct.pack("<H", value)


STORE = {
    0x0002: b"1.2.840.10008.5.1.4.1.1.2\0",
    0x0100: us(1),
    0x0110: us(5),
    0x0800: us(1),
    0x1000: b"1.2.3.4\0",
}


def decoded(pdu: bytes, kind: type) -> object:
    values = P_DATA_TF()
    values.decode(pdu)
    message = kind()
    message.decode_msg(values.to_primitive())
    return message.message_to_primitive()


def test_a_store_request_is_read():
    command = read_command(elements(STORE))

    assert command == Command(C_STORE_RQ, 5, "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4", 0, True)


def test_pynetdicom_reads_our_response_to_a_store_request():
    pdu = write_response(read_command(elements(STORE)), 3, 0xA700, "No space")

    response = decoded(pdu, C_STORE_RSP)

    assert (response.Status, response.MessageIDBeingRespondedTo) == (0xA700, 5)
    assert response.AffectedSOPInstanceUID == "1.2.3.4"
    assert response.ErrorComment == "No space"


def test_pynetdicom_reads_our_response_to_an_action():
    command = Command(N_ACTION_RQ, 9, "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1", 1, True)

    response = decoded(write_response(command, 1, 0), N_ACTION_RSP)

    assert (response.Status, response.ActionTypeID) == (0, 1)
    assert response.AffectedSOPClassUID == "1.2.840.10008.1.20.1"


@pytest.mark.parametrize("missing", [0x0100, 0x0110, 0x0800])
def test_a_command_that_lacks_what_it_must_have_breaks_the_protocol(missing):
    with pytest.raises(ProtocolViolation):
        read_command(elements({k: v for k, v in STORE.items() if k != missing}))


@given(st.binary(max_size=120))
def test_any_bytes_are_a_command_or_a_violation(content):
    try:
        read_command(content)
    except ProtocolViolation as violation:
        assert violation.abort_code == (2, 6)
