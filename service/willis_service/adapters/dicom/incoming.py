"""The header of an instance on its way in. Nothing else of it is decoded (R5)."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from pydicom import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_dataset, read_file_meta_info
from pydicom.tag import BaseTag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from willis_models.errors import DecodingError
from willis_service.adapters.dicom.header_scan import IDENTIFIERS, LAST_IDENTIFIER, scan
from willis_service.domain.instance import IncomingInstance, InstanceIdentity

# Enough for every element before the pixel data; bounds what a malicious stream inflates to.
_INFLATED_BYTES = 4 * 1024 * 1024
_LONGEST_UID = 64
_PLAIN_UID = re.compile(rb"[0-9.]{1,64}")
_MALFORMED = (
    InvalidDicomError,
    AttributeError,
    EOFError,
    KeyError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


def identity_in_head(head: memoryview, transfer_syntax_uid: str) -> InstanceIdentity | None:
    """What the beginning of a data set says that it is; None where a closer look is needed."""
    found = scan(head, transfer_syntax_uid)
    if found is None:
        return None
    values = [found[tag].rstrip(b"\0 ") for tag in IDENTIFIERS]
    if not all(map(_PLAIN_UID.fullmatch, values)):
        return None
    return _identity([value.decode() for value in values], transfer_syntax_uid)


def identity_in_stream(data_set: BinaryIO, transfer_syntax_uid: str) -> InstanceIdentity:
    """What a data set says that it is, whatever way it is written. Raises DecodingError."""
    try:
        identifiers = _read_identifiers(data_set, UID(transfer_syntax_uid))
        values = [_uid(identifiers, tag) for tag in IDENTIFIERS]
    except _MALFORMED as error:
        raise DecodingError("The object's header can't be read.") from error
    return _identity(values, transfer_syntax_uid)


def uploaded_instance(path: Path) -> IncomingInstance:
    """An instance from a DICOM file. Raises DecodingError where it is none."""
    content = path.read_bytes()
    if content[128:132] != b"DICM":
        raise DecodingError("The file is no DICOM file: it lacks the DICM prefix.")
    try:
        meta = read_file_meta_info(path)
        start = 144 + int(meta.FileMetaInformationGroupLength)
        syntax = str(meta.TransferSyntaxUID)
    except _MALFORMED as error:
        raise DecodingError("The file's DICOM header can't be read.") from error
    header, data_set = content[:start], content[start:]
    identity = identity_in_head(memoryview(data_set), syntax)
    if identity is None:
        identity = identity_in_stream(BytesIO(data_set), syntax)
    return IncomingInstance(**vars(identity), sender="upload", header=header, data_set=data_set)


def _identity(values: Sequence[str], transfer_syntax_uid: str) -> InstanceIdentity:
    study, series, sop_instance, sop_class = values
    return InstanceIdentity(study, series, sop_instance, sop_class, transfer_syntax_uid)


def _read_identifiers(data_set: BinaryIO, syntax: UID) -> Dataset:
    if syntax == DeflatedExplicitVRLittleEndian:
        inflate = zlib.decompressobj(-zlib.MAX_WBITS).decompress
        data_set = BytesIO(inflate(data_set.read(_INFLATED_BYTES), _INFLATED_BYTES))
    return read_dataset(
        data_set,
        is_implicit_VR=syntax.is_implicit_VR,
        is_little_endian=syntax.is_little_endian,
        stop_when=_is_past_identifiers,
        specific_tags=[BaseTag(tag) for tag in IDENTIFIERS],
    )


def _is_past_identifiers(tag: BaseTag, vr: str | None, length: int) -> bool:
    return int(tag) > LAST_IDENTIFIER


def _uid(identifiers: Dataset, tag: int) -> str:
    element = identifiers.get(BaseTag(tag))
    value = "" if element is None else str(element.value or "").strip("\0 ")
    if not value or len(value) > _LONGEST_UID:
        raise DecodingError(f"The object has no usable ({tag >> 16:04X},{tag & 0xFFFF:04X}).")
    return value
