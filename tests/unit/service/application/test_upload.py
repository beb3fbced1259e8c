from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.synthetic_ct import write_ct_series
from tests.toy_core import Toy, toy_core
from willis_models.errors import WillisError, WorkerLost
from willis_service.adapters.dicom.incoming import uploaded_instance
from willis_service.application.upload import TakeUploads
from willis_service.domain.instance import Receipt
from willis_service.domain.upload import UploadFailure


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return toy_core(tmp_path, max_object_mb=1)


@pytest.fixture
def slices(tmp_path: Path) -> list[Path]:
    return write_ct_series(tmp_path / "ct", shape=(2, 16, 16))


def taking(toy: Toy, takes_class: Callable[[str], bool] = lambda _class: True) -> TakeUploads:
    return TakeUploads(toy.core.intake, uploaded_instance, takes_class)


def test_an_object_is_indexed_under_its_client_and_opens_its_study(toy, slices):
    taken = taking(toy)(slices[0], "viewer", None)

    [stored] = toy.core.studies.instances(taken.study_instance_uid)
    assert (taken.receipt, stored.sender) == (Receipt.STORED, "viewer")
    assert toy.core.folder.path_of(stored.path).read_bytes() == slices[0].read_bytes()
    assert len(toy.core.studies.open_studies()) == 1


def test_the_same_object_again_is_no_failure(toy, slices):
    first, second = (taking(toy)(slices[0], "viewer", None) for _ in range(2))

    assert (first.receipt, second.receipt) == (Receipt.STORED, Receipt.DUPLICATE)


def test_an_object_of_another_study_than_the_one_posted_to_is_not_taken(toy, slices):
    taken = taking(toy)(slices[0], "viewer", "1.2.3")

    assert taken.failure is UploadFailure.OTHER_STUDY
    assert toy.core.studies.open_studies() == []


def test_a_class_that_is_not_taken_is_named_in_the_failure(toy, slices):
    taken = taking(toy, lambda _class: False)(slices[0], "viewer", None)

    assert taken.failure is UploadFailure.CLASS_NOT_SUPPORTED
    assert taken.sop_class_uid == "1.2.840.10008.5.1.4.1.1.2"


def test_what_is_no_dicom_file_has_no_name(toy, tmp_path):
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear colleague")

    taken = taking(toy)(letter, "viewer", None)

    assert (taken.failure, taken.sop_instance_uid) == (UploadFailure.NOT_UNDERSTOOD, "")


def test_a_full_disk_and_a_large_object_are_told_apart(toy, slices, tmp_path):
    large = tmp_path / "large.dcm"
    large.write_bytes(slices[0].read_bytes() + bytes(2**20))
    intake = toy.core.intake
    full = replace(intake, limits=replace(intake.limits, disk_reserve_bytes=2**60))
    onto_full = TakeUploads(full, uploaded_instance, lambda _class: True)

    failures = [
        taking(toy)(large, "viewer", None).failure,
        onto_full(slices[0], "viewer", None).failure,
    ]

    assert failures == [UploadFailure.TOO_LARGE, UploadFailure.OUT_OF_RESOURCES]
    assert not onto_full.has_room()


def test_any_other_error_of_the_tree_is_a_processing_failure(toy, slices):
    def parse(_path: Path) -> object:
        raise error

    error: WillisError = WorkerLost("lost")

    taken = TakeUploads(toy.core.intake, parse, lambda _class: True)(slices[0], "viewer", None)

    assert taken.failure is UploadFailure.PROCESSING_FAILURE
