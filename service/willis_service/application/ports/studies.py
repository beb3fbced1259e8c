"""Studies for readers: what is held, how it is described, and the pixels to look at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from willis_service.domain.holdings import (
    Attributes,
    FoundSeries,
    FoundStudy,
    HeldObject,
    ResultHeader,
    Search,
    SeriesHeader,
    StudyHeader,
    UndescribedResults,
    UndescribedStudy,
)
from willis_service.domain.study_overview import StudyDetails, StudyOverview
from willis_service.domain.upload import Taken


@dataclass(frozen=True)
class FileHeader:
    """The header of a file: what it says it is, and all of it in the DICOM JSON model."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    attributes: Attributes


class HeaderReader(Protocol):
    """Reads the header of a DICOM file."""

    def __call__(self, path: Path, bulk_url: str = "") -> FileHeader:
        """The header; values too long for it are left out, with their address below ``bulk_url``.

        Raises DecodingError.
        """
        ...


class HeaderIndex(Protocol):
    """The index of headers, which a search reads instead of files."""

    def undescribed_studies(self, limit: int, before: datetime) -> Sequence[UndescribedStudy]:
        """Studies that changed before this time and after they were read."""
        ...

    def undescribed_results(self, limit: int) -> Sequence[UndescribedResults]:
        """Jobs that ended, with objects that were not read since."""
        ...

    def put_study(self, study: StudyHeader, series: Iterable[SeriesHeader]) -> None:
        """Store what was read of a study. What was stored of it before stays."""
        ...

    def put_results(self, results: Iterable[ResultHeader]) -> None:
        """Store what was read of a job's objects."""
        ...


class Holdings(Protocol):
    """Searches over what is held: received objects and live results, as one set."""

    def studies(self, search: Search) -> Sequence[FoundStudy]:
        """Studies that match, the latest to arrive first."""
        ...

    def series(self, search: Search) -> Sequence[FoundSeries]:
        """Series that match."""
        ...

    def objects(self, search: Search) -> Sequence[HeldObject]:
        """Instances that match."""
        ...


class StudyRecords(Protocol):
    """What the database knows of studies as a whole."""

    def overviews(self, limit: int, offset: int) -> Sequence[StudyOverview]:
        """Studies, the latest to arrive first."""
        ...

    def count(self) -> int:
        """How many studies there are."""
        ...

    def details(self, study_instance_uid: str) -> StudyDetails:
        """One study. Raises UnknownStudy."""
        ...


@dataclass(frozen=True)
class Frames:
    """Frames of an object, in the encoding that ``transfer_syntax_uid`` names."""

    transfer_syntax_uid: str
    parts: Iterator[bytes]


class PixelReader(Protocol):
    """Gives pixels out. Raises DecodingError where they can't be had in the wanted form."""

    def frames(self, path: Path, numbers: Sequence[int], decoded: bool) -> Frames:
        """Frames by number, from 1: as stored, or decoded to native pixels.

        Raises UnknownObject for a frame that is not there.
        """
        ...

    def bulk(self, path: Path, tag: str) -> bytes:
        """A long value of the data set; pixel data comes decoded. Raises UnknownObject."""
        ...

    def rendered(self, path: Path, frame: int, media_type: str) -> bytes:
        """One frame as a picture to look at, ``image/png`` or ``image/jpeg``."""
        ...

    def plain(self, path: Path) -> bytes:
        """The object as a file in Explicit VR Little Endian, its pixels decoded."""
        ...


class StudyRoom(Protocol):
    """What REST and DICOMweb ask about studies. Built in ``bootstrap``.

    Raises UnknownStudy or UnknownObject for what is not held.
    """

    def find_studies(self, search: Search) -> Sequence[FoundStudy]:
        """Studies that match."""
        ...

    def find_series(self, search: Search) -> Sequence[FoundSeries]:
        """Series that match."""
        ...

    def find_objects(self, search: Search) -> Sequence[HeldObject]:
        """Instances that match."""
        ...

    def held(self, study: str, series: str | None, sop: str | None) -> Sequence[HeldObject]:
        """Every instance of a study or a series, or the one that is named."""
        ...

    def path_of(self, held: HeldObject) -> Path:
        """Where an instance lies."""
        ...

    def header(self, held: HeldObject, bulk_url: str = "") -> Attributes:
        """The header of an instance. Raises DecodingError."""
        ...

    def overviews(self, limit: int, offset: int) -> tuple[Sequence[StudyOverview], int]:
        """Studies, the latest to arrive first, and how many there are in all."""
        ...

    def details(self, study_instance_uid: str) -> StudyDetails:
        """One study with its series, conflicts and jobs."""
        ...


class UploadTaker(Protocol):
    """Takes objects that a client sends over the web."""

    def has_room(self) -> bool:
        """Whether anything can be taken now."""
        ...

    def __call__(self, path: Path, sender: str, study_instance_uid: str | None) -> Taken:
        """Store one file as an instance, of this study where one is given."""
        ...
