"""A room of studies in memory: one study with one image and the result that was made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from willis_models.errors import DecodingError, UnknownObject, UnknownStudy
from willis_service.adapters.rest.config import Imaging
from willis_service.application.ports.studies import Frames
from willis_service.domain.holdings import FoundSeries, FoundStudy, HeldObject, Search
from willis_service.domain.instance import Receipt
from willis_service.domain.job import JobState, ResultKind
from willis_service.domain.study_overview import (
    Conflict,
    JobLine,
    SeriesLine,
    StudyDetails,
    StudyOverview,
    Version,
)
from willis_service.domain.upload import Taken, UploadFailure

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STUDY = "1.2.3"
IMAGE = HeldObject(
    study_instance_uid=STUDY,
    series_instance_uid="1.2.3.1",
    sop_instance_uid="1.2.3.1.1",
    sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
    transfer_syntax_uid="1.2.840.10008.1.2.1",
    size_bytes=5,
    path="image.dcm",
)
RESULT = HeldObject(
    study_instance_uid=STUDY,
    series_instance_uid="1.2.3.2",
    sop_instance_uid="1.2.3.2.1",
    sop_class_uid="1.2.840.10008.5.1.4.1.1.66.4",
    transfer_syntax_uid="1.2.840.10008.1.2.1",
    size_bytes=6,
    job_id="job-1",
    kind=ResultKind.SEG,
)
NAME = {"vr": "PN", "Value": [{"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎"}]}
_OVERVIEW = StudyOverview(
    study_instance_uid=STUDY,
    first_received_at=WHEN,
    last_received_at=WHEN,
    is_open=False,
    senders=("SCANNER",),
    series=1,
    instances=1,
    size_bytes=5,
    conflicts=1,
    jobs=(JobLine("job-1", "aspects", JobState.SUCCEEDED, None, WHEN),),
)
_CONFLICT = Conflict(
    "1.2.3.1.1",
    "1.2.3.1",
    (Version("a" * 64, "SCANNER", WHEN, 5, True), Version("b" * 64, "PACS", WHEN, 5, False)),
)


@dataclass
class FakeRoom:
    """Matches UIDs only, and remembers what it was asked for."""

    folder: Path
    searches: list[Search] = field(default_factory=list)

    def find_studies(self, search: Search) -> Sequence[FoundStudy]:
        self.searches.append(search)
        found = [FoundStudy(STUDY, {"00100010": NAME}, ("CT", "SEG"), 2, 2)]
        return found[: 1 if search.match.get("StudyInstanceUID", STUDY) == STUDY else 0]

    def find_series(self, search: Search) -> Sequence[FoundSeries]:
        return [
            FoundSeries(one.study_instance_uid, one.series_instance_uid, {}, {"00100010": NAME}, 1)
            for one in self.find_objects(search)
        ]

    def find_objects(self, search: Search) -> Sequence[HeldObject]:
        self.searches.append(search)
        return [one for one in (IMAGE, RESULT) if _matches(one, search)]

    def held(self, study: str, series: str | None, sop: str | None) -> Sequence[HeldObject]:
        named = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "SOPInstanceUID": sop}
        match = {keyword: uid for keyword, uid in named.items() if uid is not None}
        found = self.find_objects(Search(match, 100))
        if not found and series is None:
            raise UnknownStudy("Nothing of this study is held here.")
        if not found:
            raise UnknownObject("There is no such series or instance in this study.")
        return found

    def path_of(self, held: HeldObject) -> Path:
        path = self.folder / held.sop_instance_uid
        path.write_bytes(b"image" if held is IMAGE else b"result")
        return path

    def header(self, held: HeldObject, bulk_url: str = "") -> dict[str, Any]:
        pixels = {"vr": "OW", "BulkDataURI": f"{bulk_url}/bulkdata/7FE00010"}
        return {"00100010": NAME, "00200013": {"vr": "IS", "Value": [1]}, "7FE00010": pixels}

    def overviews(self, limit: int, offset: int) -> tuple[Sequence[StudyOverview], int]:
        return [_OVERVIEW][offset : offset + limit], 1

    def details(self, study_instance_uid: str) -> StudyDetails:
        if study_instance_uid != STUDY:
            raise UnknownStudy("No instance of this study was received.")
        return StudyDetails(_OVERVIEW, (SeriesLine("1.2.3.1", 1, WHEN, WHEN),), (_CONFLICT,))


@dataclass
class FakeTaker:
    """Stores whatever begins with DICM; the rest of it is its SOP Instance UID."""

    room: bool = True
    taken: list[tuple[bytes, str, str | None]] = field(default_factory=list)

    def has_room(self) -> bool:
        return self.room

    def __call__(self, path: Path, sender: str, study_instance_uid: str | None) -> Taken:
        content = path.read_bytes()
        self.taken.append((content, sender, study_instance_uid))
        if not content.startswith(b"DICM"):
            return Taken(failure=UploadFailure.NOT_UNDERSTOOD)
        sop = content[4:].decode()
        names = {"sop_class_uid": IMAGE.sop_class_uid, "sop_instance_uid": sop}
        if sop == "full":
            return Taken(failure=UploadFailure.OUT_OF_RESOURCES, **names)
        receipt = Receipt.CONFLICT if sop == "conflict" else Receipt.STORED
        return Taken(receipt, study_instance_uid=study_instance_uid or STUDY, **names)


@dataclass
class FakePixels:
    """Every frame holds its number; a result has no picture."""

    syntax: str = "1.2.840.10008.1.2.1"

    def frames(self, path: Path, numbers: Sequence[int], decoded: bool) -> Frames:
        if max(numbers) > 3:
            raise UnknownObject("The object has no such frame.")
        return Frames(self.syntax, iter([f"frame {number}".encode() for number in numbers]))

    def bulk(self, path: Path, tag: str) -> bytes:
        if tag != "7FE00010":
            raise UnknownObject("The object has no such value.")
        return b"pixels"

    def rendered(self, path: Path, frame: int, media_type: str) -> bytes:
        if path.name == RESULT.sop_instance_uid:
            raise DecodingError("The object holds no pixels.")
        return media_type.encode()

    def plain(self, path: Path) -> bytes:
        return b"plain " + path.read_bytes()


def fake_imaging(folder: Path) -> Imaging:
    """The three of them."""
    return Imaging(FakeRoom(folder), FakeTaker(), FakePixels())


def _matches(held: HeldObject, search: Search) -> bool:
    own = {
        "StudyInstanceUID": held.study_instance_uid,
        "SeriesInstanceUID": held.series_instance_uid,
        "SOPInstanceUID": held.sop_instance_uid,
    }
    return all(own.get(keyword, uid) == uid for keyword, uid in search.match.items())
