"""The intake journal: what was acknowledged comes back, whatever the power took."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.toy_core import Toy, incoming, toy_core
from willis_service.adapters.storage.journal import Record, read_records
from willis_service.adapters.storage.journaling import Journal
from willis_service.adapters.storage.tables import INSTANCE, STUDY
from willis_service.application.receive import Intake
from willis_service.bootstrap.receiving import journaled
from willis_service.domain.instance import Receipt, StoredInstance

BLOCK = 4096


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return toy_core(tmp_path, journal_mb=1)


@contextmanager
def running(toy: Toy) -> Iterator[Intake]:
    with journaled(toy.core) as receiving:
        yield receiving.intake


def take(intake: Intake, count: int) -> list[StoredInstance]:
    return [intake.take(incoming(f"1.2.3.{n}", content=b"pixels" * n))[1] for n in range(count)]


def segments(toy: Toy) -> Sequence[Path]:
    return sorted((toy.core.settings.data_dir / "journal").rglob("*.journal"))


def in_segments(toy: Toy) -> list[Record]:
    return [record for path in segments(toy) for record in read_records(path)]


def power_failure(toy: Toy, act: Callable[[Intake], list[StoredInstance]]) -> list[StoredInstance]:
    """Leave the journal as a dead process leaves it, and nothing else of what was written."""
    with running(toy) as intake:
        stored = act(intake)
        saved = {path: path.read_bytes() for path in segments(toy)}
    orphan = toy.core.settings.data_dir / "journal" / "orphan"
    orphan.mkdir()
    for path, content in saved.items():
        (orphan / path.name).write_bytes(content)
    return stored


def lose(toy: Toy, stored: Sequence[StoredInstance]) -> None:
    for instance in stored:
        toy.core.folder.path_of(instance.path).unlink()
    with toy.core.database.write() as connection:
        connection.execute(INSTANCE.delete())
        connection.execute(STUDY.delete())


def bytes_of(toy: Toy, stored: Sequence[StoredInstance]) -> list[bytes]:
    return [toy.core.folder.path_of(instance.path).read_bytes() for instance in stored]


def test_an_instance_is_in_the_journal_when_it_was_taken(toy):
    with running(toy) as intake:
        stored = take(intake, 3)
        records = in_segments(toy)

    assert [record.instance for record in records] == stored
    assert [record.content for record in records] == bytes_of(toy, stored)


def test_files_and_rows_that_the_power_took_come_back(toy):
    stored = power_failure(toy, lambda intake: take(intake, 5))
    before = bytes_of(toy, stored)
    lose(toy, stored)

    with running(toy):
        pass

    assert bytes_of(toy, stored) == before
    assert toy.core.studies.instances("1.2.3") == stored
    (study,) = toy.core.studies.open_studies()
    assert study.instances == 5


def test_a_file_that_lost_its_bytes_but_kept_its_name_is_written_again(toy):
    stored = power_failure(toy, lambda intake: take(intake, 2))
    before = bytes_of(toy, stored)
    toy.core.folder.path_of(stored[1].path).write_bytes(b"")

    with running(toy):
        pass

    assert bytes_of(toy, stored) == before


def test_nothing_happens_twice_where_nothing_was_lost(toy):
    stored = power_failure(toy, lambda intake: take(intake, 3))
    files = sorted(toy.core.settings.data_dir.rglob("*.dcm"))

    with running(toy):
        pass

    assert toy.core.studies.instances("1.2.3") == stored
    assert sorted(toy.core.settings.data_dir.rglob("*.dcm")) == files
    assert list((toy.core.settings.data_dir / "journal").iterdir()) == []


def test_what_was_a_duplicate_or_refused_leaves_no_file_when_it_comes_back(tmp_path):
    toy = toy_core(tmp_path, journal_mb=1, max_study_instances=1)

    def act(intake: Intake) -> list[StoredInstance]:
        stored = take(intake, 1)
        assert intake.take(incoming("1.2.3.0", content=b""))[0] is Receipt.DUPLICATE
        with pytest.raises(Exception, match="larger"):
            intake.take(incoming("1.2.3.1"))
        return stored

    stored = power_failure(toy, act)

    with running(toy):
        pass

    files = list((toy.core.settings.data_dir / "studies").rglob("*.dcm"))
    assert files == [toy.core.folder.path_of(stored[0].path)]


@pytest.mark.parametrize("place", [3, 10, 100, BLOCK + 3, BLOCK + 8])
def test_a_record_that_was_being_written_when_the_power_failed_ends_the_journal(toy, place):
    with running(toy) as intake:
        stored = take(intake, 3)
        path = next(path for path in segments(toy) if list(read_records(path)))
        second = BLOCK + BLOCK  # the first record is a block of header and one of content
        with path.open("r+b") as stream:
            stream.seek(second + place)
            byte = stream.read(1)
            stream.seek(second + place)
            stream.write(bytes([byte[0] ^ 1]))

        assert [record.instance for record in read_records(path)] == stored[:1]


def test_a_full_segment_is_settled_and_used_again_and_no_old_record_is_read(tmp_path):
    toy = toy_core(tmp_path, journal_mb=1)
    with running(toy) as intake:
        content = os.urandom(200_000)
        for number in range(12):  # two fill a segment
            intake.take(incoming(f"1.2.3.{number}", content=content))

        assert len(in_segments(toy)) <= 4
        assert len(toy.core.studies.instances("1.2.3")) == 12


def test_without_the_space_for_a_journal_every_instance_is_synced_in_its_place(
    toy, monkeypatch, tmp_path
):
    synced: list[int] = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (synced.append(fd), real(fd))[1])
    full = replace(toy.core, settings=toy.core.settings.model_copy(update={"journal_mb": 1 << 40}))

    with journaled(full) as receiving:
        synced.clear()
        take(receiving.intake, 3)

        assert len(synced) == 3
        assert segments(toy) == []


def test_an_instance_larger_than_the_memory_goes_past_the_journal(toy):
    with running(toy) as intake:
        _, stored = intake.take(incoming(content=bytes(3 << 20)))

        assert in_segments(toy) == []
    assert toy.core.folder.path_of(stored.path).stat().st_size == (3 << 20) + len(b"header")


def test_a_journal_that_can_not_be_settled_stays_and_instances_are_synced_one_by_one(
    tmp_path, monkeypatch
):
    toy = toy_core(tmp_path, journal_mb=1)
    is_broken = True

    def settle(self: Journal, segment: object) -> None:
        if is_broken:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(Journal, "_settle", settle)
    with running(toy) as intake:
        for number in range(8):
            intake.take(incoming(f"1.2.3.{number}", content=os.urandom(200_000)))
        assert len(in_segments(toy)) == 4
        is_broken = False

    assert len(toy.core.studies.instances("1.2.3")) == 8
