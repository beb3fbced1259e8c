"""A data folder on a file system of a few megabytes: full is transient, nothing is lost (R2)."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pynetdicom.sop_class import CTImageStorage, Verification

from tests.receiving import SENDER, associated, listening, stored
from tests.synthetic_ct import write_ct_series
from tests.toy_core import Toy, toy_core
from willis_service.adapters.dicom.associate import rejection_of
from willis_service.adapters.dicom.incoming import uploaded_instance
from willis_service.adapters.dicom.receiver import Receiver
from willis_service.bootstrap.receiving import journaled, receiver_of

MEGABYTES = 12
RESERVE_BYTES = 1 << 20  # of the toy installation
OUT_OF_RESOURCES = 0xA700


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system; its root is where the toy installation goes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.getuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root may mount a small file system")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("ct")
    return write_ct_series(folder, shape=(30, 512, 512))  # 0.5 MB each


def toy_on(disk: Path) -> Toy:
    return toy_core(disk, allowed_ae_titles=SENDER)


def without_reserve(receiver: Receiver, toy: Toy) -> Receiver:
    limits = replace(toy.core.intake.limits, disk_reserve_bytes=0)
    return replace(receiver, objects=replace(toy.core.intake, limits=limits))


def send_all(receiver: Receiver, files: list[Path]) -> list[int]:
    with listening(receiver) as running, associated(running, CTImageStorage) as association:
        return [int(association.send_c_store(file).Status) for file in files]


def check_kept(toy: Toy, files: list[Path], statuses: list[int]) -> None:
    """Every acknowledged object is there to the byte, and nothing else is."""
    accepted = [file for file, status in zip(files, statuses, strict=True) if status == 0]
    sent = sorted(uploaded_instance(file).data_set for file in accepted)
    kept = stored(toy, files)
    assert sorted(uploaded_instance(path).data_set for path in kept) == sent
    assert sorted(toy.core.settings.data_dir.rglob("*.dcm")) == sorted(kept)
    assert list(toy.core.settings.data_dir.rglob("*.part")) == []


def test_at_the_reserve_each_object_is_refused_for_now(disk, files):
    toy = toy_on(disk)

    statuses = send_all(receiver_of(toy.core), files)

    assert set(statuses) == {0, OUT_OF_RESOURCES}
    assert statuses.index(OUT_OF_RESOURCES) > 5
    check_kept(toy, files, statuses)
    toy.core.database.close()


def test_at_the_reserve_new_associations_are_refused_for_now(disk):
    toy = toy_on(disk)
    (disk / "ballast").write_bytes(bytes(shutil.disk_usage(disk).free - RESERVE_BYTES // 2))

    with (
        listening(receiver_of(toy.core)) as running,
        associated(running, Verification) as association,
    ):
        rejection = rejection_of(association)
        assert rejection is not None
        assert (rejection.result, rejection.result_source, rejection.diagnostic) == (2, 3, 1)
    toy.core.database.close()


def test_a_file_system_that_is_really_full_is_a_passing_trouble(disk, files):
    toy = toy_on(disk)

    statuses = send_all(without_reserve(receiver_of(toy.core), toy), files)

    assert set(statuses) == {0, OUT_OF_RESOURCES}
    check_kept(toy, files, statuses)
    toy.core.database.close()


def test_what_was_refused_is_taken_once_there_is_space_again(disk, files):
    ballast = disk / "ballast"
    toy = toy_on(disk)
    ballast.write_bytes(bytes(9 << 20))
    receiver = receiver_of(toy.core)
    open_door = replace(receiver, acceptor=replace(receiver.acceptor, has_room=lambda: True))
    some = files[:8]

    with (
        listening(open_door) as running,
        associated(running, CTImageStorage) as association,
    ):
        before = [int(association.send_c_store(file).Status) for file in some]
        ballast.unlink()
        after = [int(association.send_c_store(file).Status) for file in some]

    assert OUT_OF_RESOURCES in before
    assert after == [0] * 8
    check_kept(toy, some, after)
    toy.core.database.close()


def test_a_disk_that_fills_under_the_journal_refuses_and_keeps_what_it_acknowledged(disk, files):
    toy = toy_core(disk, allowed_ae_titles=SENDER, journal_mb=2)

    with journaled(toy.core) as receiving:
        receiver = without_reserve(receiver_of(receiving), replace(toy, core=receiving))
        statuses = send_all(receiver, files)

    assert set(statuses) == {0, OUT_OF_RESOURCES}
    check_kept(toy, files, statuses)
    toy.core.database.close()


def test_a_journal_that_finds_no_space_is_done_without(disk, files):
    toy = toy_core(disk, allowed_ae_titles=SENDER, journal_mb=512)

    with journaled(toy.core) as receiving:
        assert send_all(receiver_of(receiving), files[:3]) == [0, 0, 0]

    assert len(stored(toy, files)) == 3
    toy.core.database.close()
