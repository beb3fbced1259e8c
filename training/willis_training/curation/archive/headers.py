"""What curation reads of a file's header: a fixed list of elements, tolerant of broken ones."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag

Header = dict[str, Any]
"""Values by DICOM keyword: text, a number, or a list of either. What is absent has no key."""

TEXTS = (
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "StudyDate",
    "StudyTime",
    "Modality",
    "SeriesDescription",
    "StudyDescription",
    "ProtocolName",
    "BodyPartExamined",
    "ConvolutionKernel",
    "ContrastBolusAgent",
    "RescaleType",
    "PhotometricInterpretation",
    "BurnedInAnnotation",
    "LossyImageCompression",
    "QualityControlSubject",
    "Manufacturer",
    "ManufacturerModelName",
    "PatientPosition",
    "FilterType",
)
NUMBERS = (
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "NumberOfFrames",
    "KVP",
    "SliceThickness",
    "SpacingBetweenSlices",
    "GantryDetectorTilt",
    "SeriesNumber",
    "InstanceNumber",
    "Exposure",
    "ReconstructionDiameter",
)
NUMBER_LISTS = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
TEXT_LISTS = ("ImageType",)

OVERLAY_GROUPS = tuple(range(0x6000, 0x6020, 2))
"""PS3.5 7.6: up to sixteen overlay planes, one for each even group."""
_ROWS_OF_OVERLAY = 0x0010


def read_header(path: Path) -> Header:
    """The elements above, the transfer syntax and the number of overlay planes; no pixels.

    Raises InvalidDicomError where the file is not DICOM, OSError where it can't be read.
    """
    dataset = dcmread(path, stop_before_pixels=True, specific_tags=_wanted_tags())
    header: Header = {keyword: _text(dataset, keyword) for keyword in TEXTS}
    header |= {keyword: _number(dataset, keyword) for keyword in NUMBERS}
    header |= {keyword: _several(dataset, keyword, _as_number) for keyword in NUMBER_LISTS}
    header |= {keyword: _several(dataset, keyword, str) for keyword in TEXT_LISTS}
    header["TransferSyntaxUID"] = str(dataset.file_meta.get("TransferSyntaxUID", "")) or None
    header["OverlayPlanes"] = sum(Tag(g, _ROWS_OF_OVERLAY) in dataset for g in OVERLAY_GROUPS)
    if header["SeriesInstanceUID"] is None:
        raise InvalidDicomError("The file names no series: not an image or a report of one.")
    return {keyword: value for keyword, value in header.items() if value is not None}


def _wanted_tags() -> list[BaseTag]:
    wanted: list[Any] = [*TEXTS, *NUMBERS, *NUMBER_LISTS, *TEXT_LISTS, "SpecificCharacterSet"]
    return [Tag(one) for one in wanted] + [Tag(g, _ROWS_OF_OVERLAY) for g in OVERLAY_GROUPS]


def _value(dataset: Dataset, keyword: str) -> Any:
    try:
        found = dataset.get(keyword)
    # pydicom parses late: a malformed element raises only here, and as many kinds of error.
    except (ValueError, TypeError, KeyError, AttributeError, NotImplementedError, OverflowError):
        return None
    return None if found is None or found == "" or found == [] else found


def _text(dataset: Dataset, keyword: str) -> str | None:
    found = _value(dataset, keyword)
    if isinstance(found, MultiValue):
        found = found[0]
    return (str(found).strip() or None) if found is not None else None


def _number(dataset: Dataset, keyword: str) -> float | None:
    found = _several(dataset, keyword, _as_number)
    return None if found is None else float(found[0])


def _several(dataset: Dataset, keyword: str, convert: Any) -> list[Any] | None:
    found = _value(dataset, keyword)
    if found is None:
        return None
    try:
        return [convert(one) for one in (found if isinstance(found, MultiValue) else [found])]
    except (ValueError, TypeError):
        return None


def _as_number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("not a finite number")
    return number
