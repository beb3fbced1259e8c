"""Headers in the DICOM JSON model (PS3.18 annex F): UTF-8 whatever the file is written in."""

from __future__ import annotations

import math
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom import DataElement, Dataset, FileMetaDataset, dcmread
from pydicom.filereader import read_dataset, read_file_meta_info
from pydicom.misc import is_dicom
from pydicom.tag import BaseTag

from willis_models.errors import DecodingError
from willis_service.adapters.dicom import headers
from willis_service.application.ports.studies import FileHeader

PIXEL_DATA = "7FE00010"
_FLOAT_PIXEL_DATA = "7FE00008"
_DOUBLE_FLOAT_PIXEL_DATA = "7FE00009"
PIXEL_TAGS = frozenset({PIXEL_DATA, _FLOAT_PIXEL_DATA, _DOUBLE_FLOAT_PIXEL_DATA})
_CHARACTER_SET = "00080005"
_INLINE_BYTES = 1024
_DEFERRED_BYTES = 64 * 1024
_INFLATED_BYTES = 16 * 1024 * 1024
_META_END = 144  # PS3.10 7.1: preamble, prefix and the element that says how long the rest is
_PIXELS = 0x7FE00008


def read_file_header(path: Path, bulk_url: str = "") -> FileHeader:
    """The header of a DICOM file; serves the port HeaderReader. Raises DecodingError."""
    try:
        dataset = _read(path)
        return FileHeader(
            study_instance_uid=headers.text(dataset, "StudyInstanceUID") or "",
            series_instance_uid=headers.text(dataset, "SeriesInstanceUID") or "",
            sop_instance_uid=headers.text(dataset, "SOPInstanceUID") or "",
            sop_class_uid=headers.text(dataset, "SOPClassUID") or "",
            transfer_syntax_uid=headers.text(dataset.file_meta, "TransferSyntaxUID") or "",
            attributes=_attributes(dataset, bulk_url),
        )
    except MemoryError:
        raise
    # pydicom reads late and raises whatever a malformed element makes it raise.
    except Exception as error:
        raise DecodingError("The object's header can't be read.") from error


def _read(path: Path) -> Dataset:
    if is_dicom(path) and (meta := read_file_meta_info(path)).TransferSyntaxUID.is_deflated:
        return _inflated(path, meta)
    return dcmread(path, stop_before_pixels=True, force=True, defer_size=_DEFERRED_BYTES)


def _inflated(path: Path, meta: FileMetaDataset) -> Dataset:
    """The header of a deflated object, whose pixels are not inflated: they may have no end."""
    deflated = path.read_bytes()[_META_END + int(meta.FileMetaInformationGroupLength) :]
    start = zlib.decompressobj(-zlib.MAX_WBITS).decompress(deflated, _INFLATED_BYTES)
    dataset = read_dataset(BytesIO(start), False, True, stop_when=_is_pixel_data)
    dataset.file_meta = meta
    return dataset


def _is_pixel_data(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return int(tag) >= _PIXELS


def _attributes(dataset: Dataset, bulk_url: str) -> dict[str, Any]:
    def address(element: DataElement) -> str:
        # Only an element of the data set itself has an address; one inside a sequence has none.
        is_top = element.tag in dataset and dataset[element.tag] is element
        return f"{bulk_url}/bulkdata/{element.tag:08X}" if bulk_url and is_top else ""

    written = dataset.to_json_dict(_INLINE_BYTES, address, suppress_invalid_tags=True)
    attributes: dict[str, Any] = _clean(written)
    attributes[_CHARACTER_SET] = {"vr": "CS", "Value": ["ISO_IR 192"]}
    if bulk_url and "Rows" in dataset and "BitsAllocated" in dataset:
        tag, vr = pixel_element(dataset)
        attributes[tag] = {"vr": vr, "BulkDataURI": f"{bulk_url}/bulkdata/{tag}"}
    return dict(sorted(attributes.items()))


def pixel_element(header: Dataset) -> tuple[str, str]:
    """Tag and VR of the pixels, as a header without them tells.

    Only floating-point pixels have no number of stored bits (PS3.3 C.7.6.24, C.7.6.25).
    """
    allocated = headers.number(header, "BitsAllocated") or 0
    if "BitsStored" not in header and allocated == 32:
        return _FLOAT_PIXEL_DATA, "OF"
    if "BitsStored" not in header and allocated == 64:
        return _DOUBLE_FLOAT_PIXEL_DATA, "OD"
    return PIXEL_DATA, "OW" if allocated > 8 else "OB"


def _clean(value: Any) -> Any:
    """What JSON and databases take: no NUL, no half characters, no number that is none."""
    if isinstance(value, dict):
        kept = {key: _clean(inner) for key, inner in value.items()}
        if kept.get("BulkDataURI") == "":
            del kept["BulkDataURI"]
        return kept
    if isinstance(value, list):
        return [_clean(inner) for inner in value]
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
