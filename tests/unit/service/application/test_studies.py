from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.hand_clock import START, HandClock
from willis_models.errors import DecodingError, UnknownObject
from willis_service.application.ports.studies import FileHeader
from willis_service.application.studies import DescribeHoldings, Reading
from willis_service.domain.holdings import (
    HeldObject,
    ResultHeader,
    Search,
    SeriesHeader,
    StudyHeader,
    UndescribedResults,
    UndescribedStudy,
    text_of,
)
from willis_service.domain.job import ResultKind


def value(vr: str, *values: object) -> dict[str, object]:
    return {"vr": vr, "Value": list(values)}


HEADER = FileHeader(
    "1",
    "1.1",
    "1.1.1",
    "1.9",
    "1.8",
    {
        "00100020": value("LO", "P1"),
        "00080060": value("CS", "CT"),
        "00280010": value("US", 512),
    },
)


@dataclass
class Folder:
    """Files by name, where jobs have theirs in a folder each."""

    root: Path

    def path_of(self, stored: str) -> Path:
        return self.root / stored

    def path(self, job_id: str, kind: ResultKind) -> Path:
        return self.root / job_id / kind


@dataclass
class MemoryIndex:
    """What waits to be read, and what was stored of it."""

    studies: list[UndescribedStudy] = field(default_factory=list)
    results: list[UndescribedResults] = field(default_factory=list)
    put: list[object] = field(default_factory=list)

    def undescribed_studies(self, limit: int, before: object) -> list[UndescribedStudy]:
        return self.studies[:limit]

    def undescribed_results(self, limit: int) -> list[UndescribedResults]:
        return self.results[:limit]

    def put_study(self, study: StudyHeader, series: Iterable[SeriesHeader]) -> None:
        self.put.append((study, list(series)))

    def put_results(self, results: Iterable[ResultHeader]) -> None:
        self.put.append(list(results))


def reading(path: Path, bulk_url: str = "") -> FileHeader:
    if not path.exists():
        raise FileNotFoundError(path)
    if path.read_bytes() != b"good":
        raise DecodingError("The object's header can't be read.")
    return HEADER


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "a").write_bytes(b"good")
    (tmp_path / "b").write_bytes(b"bad")
    return Folder(tmp_path)


def describing(index: MemoryIndex, folder: Folder) -> DescribeHoldings:
    return DescribeHoldings(index, reading, folder, folder, HandClock())


def test_a_study_is_described_by_its_first_object_and_each_series_by_its_own(folder):
    index = MemoryIndex([UndescribedStudy("1", START, {"1.1": "a"})])

    count = describing(index, folder)()

    [(study, [series])] = index.put
    assert count == 1
    assert dict(study.attributes) == {"00100020": value("LO", "P1")}
    assert dict(series.attributes) == {"00080060": value("CS", "CT")}


@pytest.mark.parametrize("path", ["b", "gone"])
def test_an_object_that_can_not_be_read_is_indexed_by_its_uids_and_not_read_for_ever(folder, path):
    index = MemoryIndex([UndescribedStudy("1", START, {"1.1": path})])

    describing(index, folder)()

    [(study, [series])] = index.put
    assert (study.attributes, series.attributes) == ({}, {})


def test_results_are_indexed_all_together_or_not_at_all(folder):
    (folder.root / "j").mkdir()
    (folder.root / "j" / ResultKind.SR).write_bytes(b"good")
    index = MemoryIndex(
        results=[UndescribedResults("j", "1", "e1", (ResultKind.SEG, ResultKind.SR))]
    )

    describing(index, folder)()
    before = list(index.put)
    (folder.root / "j" / ResultKind.SEG).write_bytes(b"good")
    describing(index, folder)()

    assert before == []
    assert [one.held.kind for one in index.put[0]] == [ResultKind.SEG, ResultKind.SR]
    assert {one.edition for one in index.put[0]} == {"e1"}


@dataclass
class OneObject:
    """Holdings of one object."""

    held: HeldObject

    def objects(self, search: Search) -> list[HeldObject]:
        return [self.held]


def test_a_file_that_is_gone_is_unknown_and_no_fault(folder):
    held = HeldObject("1", "1.1", "1.1.1", "1.9", "1.8", 1, path="gone")
    room = Reading(
        holdings=OneObject(held),
        records=None,
        outcome=lambda _study: None,
        describe=describing(MemoryIndex(), folder),
        read=reading,
        archive=folder,
        shelf=folder,
    )

    with pytest.raises(UnknownObject):
        room.path_of(room.held("1", None, None)[0])


def test_text_joins_several_values_and_the_groups_of_a_name():
    attributes = {
        "00080008": value("CS", "ORIGINAL", "PRIMARY"),
        "00100010": value("PN", {"Alphabetic": "Hong^Gildong", "Phonetic": "홍^길동"}),
        "00080050": {"vr": "SH"},
        "00080060": value("CS", None),
    }

    texts = [text_of(attributes, tag) for tag in (*attributes, "00100020")]

    assert texts == ["ORIGINAL\\PRIMARY", "Hong^Gildong==홍^길동", "", "", ""]
