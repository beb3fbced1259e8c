"""Files on their way in: every size, with and without O_DIRECT."""

from __future__ import annotations

import errno
import hashlib
import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from willis_models.errors import StorageFull
from willis_service.adapters.storage.folders import DataFolder
from willis_service.application.ports import Kept
from willis_service.domain.instance import StoredInstance

SYNTAX = "1.2.840.10008.1.2.1"
MEBIBYTE = 1024 * 1024


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[DataFolder]:
    data = DataFolder(tmp_path / "data")
    yield data
    data.close()


def files(folder: DataFolder) -> list[Path]:
    return [path for path in folder.root.rglob("*") if path.is_file()]


def keep(folder: DataFolder, content: bytes, place: str = "studies/1/2/3.dcm") -> str:
    landing = folder.land(b"header", SYNTAX)
    try:
        landing.write(content)
        sha256 = landing.finish()
        landing.put(place)
        row = StoredInstance(
            "1", "2", "3", "4", SYNTAX, sha256, place, landing.size_bytes, "A", datetime.now(UTC)
        )
        with folder.making_durable([Kept(landing, row, True)]) as wait:
            wait()
        return sha256
    finally:
        landing.close()


@pytest.mark.parametrize(
    "size",
    [0, 1, 4089, 4090, 4091, 256 * 1024, 300_001, MEBIBYTE - 6, MEBIBYTE, 3 * MEBIBYTE + 5],
)
def test_the_file_holds_what_came_and_its_digest_is_that_of_the_data_set(folder, size):
    content = random.Random(size).randbytes(size)

    sha256 = keep(folder, content)

    assert (folder.root / "studies/1/2/3.dcm").read_bytes() == b"header" + content
    assert sha256 == hashlib.sha256(SYNTAX.encode() + b"\0" + content).hexdigest()


def test_a_file_system_without_direct_writes_serves_as_well(folder, monkeypatch):
    real = os.pwritev
    refused: list[int] = []

    def refusing(descriptor, parts, offset):
        import fcntl

        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT:
            refused.append(descriptor)
            raise OSError(errno.EINVAL, "Invalid argument")
        return real(descriptor, parts, offset)

    monkeypatch.setattr(os, "pwritev", refusing)

    keep(folder, b"x" * 700_000)

    assert refused
    assert (folder.root / "studies/1/2/3.dcm").read_bytes() == b"header" + b"x" * 700_000


def test_the_beginning_stays_at_hand_while_the_rest_goes_to_the_disk(folder):
    landing = folder.land(b"header", SYNTAX)
    landing.write(b"first" + bytes(2 * MEBIBYTE))

    assert bytes(landing.head()[:5]) == b"first"
    landing.close()


def test_what_is_not_put_leaves_nothing(folder):
    landing = folder.land(b"header", SYNTAX)
    landing.write(bytes(MEBIBYTE))
    landing.finish()
    landing.close()
    landing.close()

    assert files(folder) == []


def test_memory_is_used_again_and_old_bytes_are_not_in_the_next_file(folder):
    keep(folder, b"a" * 900_000, "studies/1/2/a.dcm")
    keep(folder, b"b" * 10, "studies/1/2/b.dcm")

    assert (folder.root / "studies/1/2/b.dcm").read_bytes() == b"header" + b"b" * 10


def test_what_a_dead_process_left_unfinished_is_removed_and_the_work_of_a_living_one_is_not(
    folder, tmp_path
):
    orphan = tmp_path / "data" / "incoming" / "0123"
    orphan.mkdir(parents=True)
    (orphan / "left.part").write_bytes(b"half")
    other = DataFolder(folder.root)
    living = other.land(b"header", SYNTAX)

    landing = folder.land(b"header", SYNTAX)

    assert not orphan.exists()
    assert len(files(folder)) == 2
    landing.close()
    living.close()
    other.close()


def test_a_disk_that_is_full_is_told_as_such(folder, monkeypatch):
    def full(_descriptor, _parts, _offset):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwritev", full)

    with pytest.raises(StorageFull):
        keep(folder, bytes(MEBIBYTE))

    assert files(folder) == []
