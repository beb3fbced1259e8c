"""Patches of stored cases: every case in turn, around labels as often as asked, never misplaced."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.unit.training.fitting.toy_store import (
    SPACING_MM,
    TRAIN,
    VALIDATION,
    toy_case,
    toy_run,
    toy_store,
)
from willis_training.fitting.lesson import StoredLesson, collate
from willis_training.fitting.samples import CaseStore


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> CaseStore:
    return toy_store(tmp_path_factory.mktemp("toy") / "store")


def lesson(store: CaseStore, **changes: object) -> StoredLesson:
    return StoredLesson(store, TRAIN, VALIDATION, toy_run(Path("nowhere"), **changes))


def test_the_same_number_gives_the_same_sample_and_another_number_another(
    store: CaseStore,
) -> None:
    first, again, other = (lesson(store).sample(number) for number in (5, 5, 6))

    assert np.array_equal(first.image, again.image)
    assert not np.array_equal(first.image, other.image)


def test_every_case_teaches_once_in_each_pass(store: CaseStore) -> None:
    brightest = {toy_case(n).image.max(): f"case_{n}" for n in range(3)}
    config = {"patch": (32, 32, 32), "widths": (4, 8)}

    for first in (0, 3, 6):
        samples = [lesson(store, network=config).sample(first + n) for n in range(3)]
        assert {brightest[sample.image.max()] for sample in samples} == set(TRAIN)


def test_a_patch_shows_the_case_where_its_labels_are(store: CaseStore) -> None:
    for number in range(12):
        sample = lesson(store).sample(number)
        inside = sample.image[0][sample.labels > 0]
        assert inside.size == 0 or inside.min() > 0.5


def test_patches_are_centred_on_labels_as_often_as_asked(store: CaseStore) -> None:
    def found(share: float) -> int:
        taught = lesson(
            store, data={"foreground_share": share, "margin": 0.0}, network={"patch": (8, 8, 8)}
        )
        return sum(bool(taught.sample(n).labels[2:6, 2:6, 2:6].any()) for n in range(60))

    assert found(1.0) == 60
    assert found(0.0) < 40


def test_a_case_smaller_than_the_patch_lies_in_its_middle(store: CaseStore) -> None:
    taught = lesson(store, network={"patch": (32, 32, 32)}, data={"margin": 0.0})

    sample = taught.sample(0)

    assert sample.image.shape == (1, 32, 32, 32)
    filled = np.argwhere(sample.image[0] != 0)
    assert filled.min(axis=0).tolist() == [6, 4, 5]
    assert filled.max(axis=0).tolist() == [25, 27, 26]


def test_a_batch_is_changed_into_patches_of_the_networks_size(store: CaseStore) -> None:
    taught = lesson(store, painting={"share": 1.0})
    batch = collate([taught.sample(n) for n in (0, 1)])

    images, labels = taught.change(batch)

    assert images.shape == (2, 1, 16, 16, 16) and images.dtype == torch.float32
    assert labels.shape == (2, 16, 16, 16) and labels.dtype == torch.int64
    assert batch.images.shape[2:] == (18, 18, 18)


def test_validation_cases_are_shared_without_loss(store: CaseStore) -> None:
    taught = lesson(store)

    shares = [list(taught.validation(slice(rank, None, 2))) for rank in (0, 1)]

    assert Counter(case.name for share in shares for case in share) == Counter(VALIDATION)
    assert shares[0][0].spacing_mm == SPACING_MM
    assert taught.label_names == {0: "background", 1: "lesion"}
