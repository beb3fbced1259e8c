"""DIMSE command sets: read from a request, written for its response (PS3.7 E.1, E.2)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from willis_service.adapters.dicom.wire import INVALID_PARAMETER, P_DATA, ProtocolViolation

C_STORE_RQ, C_ECHO_RQ, C_CANCEL_RQ = 0x0001, 0x0030, 0x0FFF
N_EVENT_REPORT_RQ, N_ACTION_RQ = 0x0100, 0x0130
_RESPONSE = 0x8000
_NO_DATA_SET = 0x0101

_LENGTH, _AFFECTED_CLASS, _REQUESTED_CLASS, _FIELD = 0x0000, 0x0002, 0x0003, 0x0100
_MESSAGE_ID, _REPLIED_TO, _DATA_SET_TYPE = 0x0110, 0x0120, 0x0800
_STATUS, _ERROR_COMMENT = 0x0900, 0x0902
_AFFECTED_INSTANCE, _REQUESTED_INSTANCE = 0x1000, 0x1001
_EVENT_TYPE, _ACTION_TYPE = 0x1002, 0x1008

_ELEMENT = struct.Struct("<HHI")
_PDV_HEADER = struct.Struct(">BxIIBB")
_LAST_COMMAND = 0x03


@dataclass(frozen=True)
class Command:
    """A request. Class and instance are the affected or the requested ones, as the kind has it."""

    kind: int
    message_id: int
    sop_class_uid: str
    sop_instance_uid: str
    type_id: int
    """Event or action type; 0 where the kind has none."""
    has_data_set: bool


def read_command(content: bytes | bytearray) -> Command:
    """Read a command set. Raises ProtocolViolation."""
    values = _elements(content)
    kind = _number(values, _FIELD)
    is_action = kind == N_ACTION_RQ
    return Command(
        kind=kind,
        message_id=_number(values, _REPLIED_TO if kind == C_CANCEL_RQ else _MESSAGE_ID),
        sop_class_uid=_text(values, _REQUESTED_CLASS if is_action else _AFFECTED_CLASS),
        sop_instance_uid=_text(values, _REQUESTED_INSTANCE if is_action else _AFFECTED_INSTANCE),
        type_id=_number(values, _ACTION_TYPE if is_action else _EVENT_TYPE, 0),
        has_data_set=_number(values, _DATA_SET_TYPE) != _NO_DATA_SET,
    )


def write_response(command: Command, context_id: int, status: int, comment: str = "") -> bytes:
    """The P-DATA-TF with the response to a request; it carries no data set."""
    elements = [
        _uid(_AFFECTED_CLASS, command.sop_class_uid),
        _us(_FIELD, command.kind | _RESPONSE),
        _us(_REPLIED_TO, command.message_id),
        _us(_DATA_SET_TYPE, _NO_DATA_SET),
        _us(_STATUS, status),
    ]
    if comment:
        elements.append(_element(_ERROR_COMMENT, comment[:64].encode("ascii", "replace"), b" "))
    if command.sop_instance_uid:
        elements.append(_uid(_AFFECTED_INSTANCE, command.sop_instance_uid))
    if command.kind in (N_ACTION_RQ, N_EVENT_REPORT_RQ):
        tag = _ACTION_TYPE if command.kind == N_ACTION_RQ else _EVENT_TYPE
        elements.append(_us(tag, command.type_id))
    content = b"".join(elements)
    content = _element(_LENGTH, struct.pack("<I", len(content))) + content
    size = len(content)
    return _PDV_HEADER.pack(P_DATA, size + 6, size + 2, context_id, _LAST_COMMAND) + content


def _elements(content: bytes | bytearray) -> Mapping[int, bytes]:
    """Values by element number; a command set is Implicit VR Little Endian, group 0000 only."""
    values: dict[int, bytes] = {}
    position = 0
    while position < len(content):
        if position + _ELEMENT.size > len(content):
            raise ProtocolViolation("a command set that ends early", INVALID_PARAMETER)
        group, element, length = _ELEMENT.unpack_from(content, position)
        position += _ELEMENT.size
        if group != 0 or position + length > len(content):
            raise ProtocolViolation("a command set that can't be read", INVALID_PARAMETER)
        values[element] = bytes(content[position : position + length])
        position += length
    return values


def _number(values: Mapping[int, bytes], element: int, default: int | None = None) -> int:
    value = values.get(element, b"")
    if len(value) == 2:
        return int.from_bytes(value, "little")
    if default is None or value:
        raise ProtocolViolation(f"a command set without (0000,{element:04X})", INVALID_PARAMETER)
    return default


def _text(values: Mapping[int, bytes], element: int) -> str:
    return values.get(element, b"").decode("ascii", "replace").rstrip("\0 ")


def _us(element: int, value: int) -> bytes:
    return _element(element, struct.pack("<H", value))


def _uid(element: int, value: str) -> bytes:
    return _element(element, value.encode("ascii", "replace"))


def _element(element: int, value: bytes, padding: bytes = b"\0") -> bytes:
    padded = value + padding * (len(value) % 2)
    return _ELEMENT.pack(0, element, len(padded)) + padded
