"""From files to series: by what their headers say, never by their names or places."""

from __future__ import annotations

import struct
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.errors import BytesLengthException, InvalidDicomError

from willis_service.adapters.dicom import headers

_PREAMBLE = 128
# A file without preamble starts with group 0002 or 0008, in either byte order.
_FIRST_GROUPS = (b"\x02\x00", b"\x08\x00", b"\x00\x08")
_MALFORMED = (
    InvalidDicomError,
    BytesLengthException,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    NotImplementedError,
    struct.error,
    zlib.error,
)

HeaderReader = Callable[[Path], Dataset | None]


@dataclass(frozen=True)
class SeriesListing:
    """The files of one series and their headers, which hold no pixel data.

    ``series_instance_uid`` is empty for objects that belong to no series (such as a DICOMDIR) and
    for the one listing that collects unreadable files; that one has no headers.
    """

    series_instance_uid: str
    study_instance_uid: str
    files: tuple[Path, ...]
    headers: tuple[Dataset, ...]

    @property
    def is_readable(self) -> bool:
        """Whether the files are DICOM at all."""
        return bool(self.headers)

    @property
    def series_number(self) -> int | None:
        """SeriesNumber (0020,0011)."""
        found = headers.number(self.headers[0], "SeriesNumber") if self.headers else None
        return None if found is None else int(found)

    @property
    def modality(self) -> str | None:
        """Modality (0008,0060)."""
        return headers.text(self.headers[0], "Modality") if self.headers else None

    @property
    def image_count(self) -> int:
        """Images in all files, counting each frame."""
        return sum(headers.frame_count(header) for header in self.headers)


def scan(paths: Iterable[Path], read: HeaderReader | None = None) -> tuple[SeriesListing, ...]:
    """Group files (and everything below folders) by SeriesInstanceUID, sorted by series number.

    Reads headers only, by ``read_header`` or what is given in its place. What is no DICOM file
    comes last, in a listing of its own.
    """
    found: dict[tuple[str, str], list[tuple[Path, Dataset]]] = defaultdict(list)
    unreadable: list[Path] = []
    for path in _every_file(paths):
        header = (read or read_header)(path)
        if header is None:
            unreadable.append(path)
        else:
            found[_series_of(header)].append((path, header))
    listings = [_listing(key, members) for key, members in found.items()]
    listings.sort(key=_reading_order)
    if unreadable:
        listings.append(SeriesListing("", "", tuple(unreadable), ()))
    return tuple(listings)


def read_header(path: Path) -> Dataset | None:
    """The dataset without its pixels, or None where the file is no DICOM file.

    Files without preamble and meta information are accepted, as old archives write them.
    """
    with path.open("rb") as stream:
        start = stream.read(_PREAMBLE + 4)
    if start[_PREAMBLE:] != b"DICM" and not start.startswith(_FIRST_GROUPS):
        return None
    try:
        header = dcmread(path, stop_before_pixels=True, force=True)
    except _MALFORMED:
        return None
    is_directory = "DirectoryRecordSequence" in header
    return header if is_directory or headers.text(header, "SOPClassUID") else None


def _every_file(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(inner for inner in path.rglob("*") if inner.is_file())
        else:
            yield path


def _series_of(header: Dataset) -> tuple[str, str]:
    study = headers.text(header, "StudyInstanceUID") or ""
    return study, headers.text(header, "SeriesInstanceUID") or ""


def _listing(key: tuple[str, str], members: list[tuple[Path, Dataset]]) -> SeriesListing:
    study, series = key
    files, datasets = zip(*members, strict=True)
    return SeriesListing(series, study, files, datasets)


def _reading_order(listing: SeriesListing) -> tuple[str, bool, int, str]:
    number = listing.series_number
    return (
        listing.study_instance_uid,
        number is None,
        number or 0,
        listing.series_instance_uid,
    )
