import errno
import os

import pytest

from tests.toy_core import incoming, toy_core
from willis_models.errors import StorageFull, UploadTooLarge
from willis_service.domain.instance import Receipt


@pytest.fixture
def toy(tmp_path):
    return toy_core(tmp_path, max_study_instances=2, max_object_mb=1)


def files_of(toy) -> list[bytes]:
    return sorted(path.read_bytes() for path in toy.core.settings.data_dir.rglob("*.dcm"))


def test_an_instance_is_on_disk_and_in_the_index_when_it_was_taken(toy):
    receipt, stored = toy.core.intake.take(incoming())

    assert receipt is Receipt.STORED
    assert toy.core.folder.path_of(stored.path).read_bytes() == b"headerpixels"
    assert toy.core.studies.instances("1.2.3") == [stored]


def test_the_same_bytes_again_are_a_duplicate_and_nothing_new(toy):
    toy.core.intake.take(incoming())

    receipt, _ = toy.core.intake.take(incoming())

    assert receipt is Receipt.DUPLICATE
    assert files_of(toy) == [b"headerpixels"]


def test_other_bytes_under_a_known_uid_are_kept_beside_the_first_and_flagged(toy):
    _, first = toy.core.intake.take(incoming())

    receipt, _ = toy.core.intake.take(incoming(content=b"other"))

    assert receipt is Receipt.CONFLICT
    assert files_of(toy) == [b"headerother", b"headerpixels"]
    assert toy.core.studies.instances("1.2.3") == [first]
    assert toy.core.studies.count_conflicts("1.2.3") == 1


def test_a_known_uid_in_another_study_is_a_conflict_too(toy):
    toy.core.intake.take(incoming())

    receipt, _ = toy.core.intake.take(incoming(study="1.2.4", content=b"other"))

    assert receipt is Receipt.CONFLICT


def test_nothing_is_taken_when_the_disk_reserve_is_reached(tmp_path):
    toy = toy_core(tmp_path)
    settings = toy.core.settings.model_copy(update={"disk_reserve_mb": 1 << 40})
    full = toy_core(tmp_path).core.intake
    limits = type(full.limits)(settings.disk_reserve_bytes, 1 << 30, 10)
    intake = type(full)(full.archive, full.index, limits, full.clock)

    assert not intake.has_room()
    with pytest.raises(StorageFull):
        intake.take(incoming())
    assert files_of(toy) == []


def test_a_disk_that_fills_up_while_writing_is_storage_full_and_leaves_no_file(toy, monkeypatch):
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(StorageFull):
        toy.core.intake.take(incoming())

    monkeypatch.undo()
    assert [p for p in toy.core.settings.data_dir.rglob("studies/**/*") if p.is_file()] == []
    assert toy.core.studies.instances("1.2.3") == []


def test_a_study_and_an_object_may_only_grow_so_far(toy):
    toy.core.intake.take(incoming("1.2.3.1"))
    toy.core.intake.take(incoming("1.2.3.2"))

    with pytest.raises(UploadTooLarge):
        toy.core.intake.take(incoming("1.2.3.3"))
    with pytest.raises(UploadTooLarge):
        toy.core.intake.take(incoming("1.2.4.1", study="1.2.4", content=bytes(1 << 20)))
