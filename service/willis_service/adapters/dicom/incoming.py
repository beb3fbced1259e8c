"""The header of an instance on its way in. Nothing else of it is decoded (R5)."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

from pydicom import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_dataset, read_file_meta_info
from pydicom.tag import BaseTag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian
from pynetdicom.dsutils import encode_file_meta

from willis_models.errors import DecodingError
from willis_service.domain.instance import IncomingInstance

_PREAMBLE = b"\0" * 128 + b"DICM"
_LAST_TAG = 0x0020000E
_TAGS = [0x00080016, 0x00080018, 0x0020000D, _LAST_TAG]
_KEYWORDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
# Enough for every element before the pixel data; bounds what a malicious stream inflates to.
_INFLATED_BYTES = 4 * 1024 * 1024
_MALFORMED = (
    InvalidDicomError,
    AttributeError,
    EOFError,
    KeyError,
    NotImplementedError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


def received_instance(meta: FileMetaDataset, data_set: bytes, sender: str) -> IncomingInstance:
    """An instance from an association. Raises DecodingError where it does not say what it is."""
    header = _PREAMBLE + encode_file_meta(meta)
    return _instance(header, data_set, UID(meta.TransferSyntaxUID), sender)


def uploaded_instance(path: Path) -> IncomingInstance:
    """An instance from a DICOM file. Raises DecodingError where it is none."""
    content = path.read_bytes()
    if content[128:132] != b"DICM":
        raise DecodingError("The file is no DICOM file: it lacks the DICM prefix.")
    try:
        meta = read_file_meta_info(path)
        start = 144 + int(meta.FileMetaInformationGroupLength)
        syntax = UID(meta.TransferSyntaxUID)
    except _MALFORMED as error:
        raise DecodingError("The file's DICOM header can't be read.") from error
    return _instance(content[:start], content[start:], syntax, "upload")


def _instance(header: bytes, data_set: bytes, syntax: UID, sender: str) -> IncomingInstance:
    try:
        identifiers = _read_identifiers(data_set, syntax)
        study, series, sop, sop_class = (_uid(identifiers, keyword) for keyword in _KEYWORDS)
    except _MALFORMED as error:
        raise DecodingError("The object's header can't be read.") from error
    return IncomingInstance(study, series, sop, sop_class, str(syntax), sender, header, data_set)


def _read_identifiers(data_set: bytes, syntax: UID) -> Dataset:
    if syntax == DeflatedExplicitVRLittleEndian:
        data_set = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data_set, _INFLATED_BYTES)
    return read_dataset(
        BytesIO(data_set),
        is_implicit_VR=syntax.is_implicit_VR,
        is_little_endian=syntax.is_little_endian,
        stop_when=_is_past_identifiers,
        specific_tags=[BaseTag(tag) for tag in _TAGS],
    )


def _is_past_identifiers(tag: BaseTag, vr: str | None, length: int) -> bool:
    return int(tag) > _LAST_TAG


def _uid(identifiers: Dataset, keyword: str) -> str:
    value = str(identifiers.get(keyword) or "").strip()
    if not value or len(value) > 64:
        raise DecodingError(f"The object has no usable {keyword}.")
    return value
