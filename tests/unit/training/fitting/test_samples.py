"""The store of prepared cases: filled once, resumed, made again only where something changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from tests.unit.training.fitting.toy_store import toy_case, toy_store
from willis_models.errors import NotAHead
from willis_training.datasets.base import Subject
from willis_training.fitting.samples import (
    CaseStore,
    PreparedCase,
    RememberedCases,
    content_digest,
    prepare_cases,
)


@dataclass(frozen=True)
class Folder:
    """A data set of files that hold a number each."""

    root: Path
    name: str = "numbers"

    @property
    def label_names(self) -> Mapping[int, str]:
        return {0: "background", 1: "box"}

    def subjects(self) -> Sequence[Subject]:
        return [Subject(p.stem, None, {"ncct": p}, label=p) for p in sorted(self.root.iterdir())]


@dataclass(frozen=True)
class Numbered:
    """Prepares the case of a file's number, and notes what it was asked for."""

    digest: str = "one"
    asked: list[str] = field(default_factory=list)

    @property
    def description(self) -> Mapping[str, str]:
        return {"method": "numbered"}

    def __call__(self, subject: Subject) -> PreparedCase:
        self.asked.append(subject.subject_id)
        number = int(subject.images["ncct"].read_text())
        if number < 0:
            raise NotAHead("The study is a knee.")
        return toy_case(number)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    root = tmp_path / "files"
    root.mkdir()
    for n in range(3):
        (root / f"sub-{n}").write_text(str(n))
    return Folder(root)


def test_a_store_gives_back_the_prepared_bits(tmp_path: Path, folder: Folder) -> None:
    store = prepare_cases(folder, Numbered(), tmp_path / "store")

    assert store.cases == ("sub-0", "sub-1", "sub-2")
    for n, name in enumerate(store.cases):
        stored = store.read(name)
        assert np.array_equal(stored.image, toy_case(n).image)
        assert np.array_equal(stored.labels, toy_case(n).labels)
        assert store.index.cases[name].content_sha256 == content_digest(stored)
    assert store.index.preparation == {"method": "numbered", "digest": "one"}


def test_filling_goes_on_where_it_stopped(tmp_path: Path, folder: Folder) -> None:
    class PowerFailure(Exception):
        pass

    def fail_after_two(line: str) -> None:
        if line.startswith("2 of 3"):
            raise PowerFailure

    with pytest.raises(PowerFailure):
        prepare_cases(folder, Numbered(), tmp_path / "store", fail_after_two)
    again = Numbered()

    store = prepare_cases(folder, again, tmp_path / "store")

    assert again.asked == ["sub-2"]
    assert len(store.cases) == 3


def test_only_what_changed_is_prepared_again(tmp_path: Path, folder: Folder) -> None:
    before = prepare_cases(folder, Numbered(), tmp_path / "store")
    (folder.root / "sub-1").write_text("7")
    (folder.root / "sub-2").unlink()
    again, other = Numbered(), Numbered("two")

    after = prepare_cases(folder, again, tmp_path / "store")

    assert again.asked == ["sub-1"]
    assert after.cases == ("sub-0", "sub-1")
    assert after.digest(["sub-0"]) == before.digest(["sub-0"])
    assert after.digest(["sub-1"]) != before.digest(["sub-1"])
    prepare_cases(folder, other, tmp_path / "store")
    assert other.asked == ["sub-0", "sub-1"]


def test_a_stop_in_a_second_filling_forgets_nothing_of_the_first(
    tmp_path: Path, folder: Folder
) -> None:
    prepare_cases(folder, Numbered(), tmp_path / "store")
    (folder.root / "sub-0").write_text("9")

    def stop(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_cases(folder, Numbered(), tmp_path / "store", stop)

    assert CaseStore(tmp_path / "store").cases == ("sub-0", "sub-1", "sub-2")


def test_what_the_service_would_reject_is_set_aside_with_its_reason(
    tmp_path: Path, folder: Folder
) -> None:
    (folder.root / "sub-1").write_text("-1")
    said: list[str] = []

    store = prepare_cases(folder, Numbered(), tmp_path / "store", said.append)

    assert store.cases == ("sub-0", "sub-2")
    assert store.index.set_aside["sub-1"].endswith(f"{NotAHead.code}: The study is a knee.")
    assert said[1].startswith("2 of 3: sub-1 set aside")


def test_a_store_is_no_more_in_memory_than_its_limit(tmp_path: Path) -> None:
    folder = toy_store(tmp_path / "store").folder
    small, large = RememberedCases(folder, 1), RememberedCases(folder, 1000)
    small._limit = int(2.5 * toy_case(0).nbytes)

    for store in (small, large):
        for name in store.cases:
            assert np.array_equal(store.read(name).image, store.read(name).image)

    assert [len(store._memory) for store in (small, large)] == [2, 5]
    assert large.read("case_0") is large.read("case_0")


def test_a_folder_without_an_index_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="willis-train prepare"):
        CaseStore(tmp_path)


@pytest.mark.parametrize(
    ("image", "labels"),
    [
        (np.zeros((4, 4, 4), np.float32), np.zeros((4, 4, 4), np.uint8)),
        (np.zeros((1, 4, 4, 4), np.float64), np.zeros((4, 4, 4), np.uint8)),
        (np.zeros((1, 4, 4, 4), np.float32), np.zeros((4, 4, 5), np.uint8)),
        (np.zeros((1, 4, 4, 4), np.float32), np.zeros((4, 4, 4), np.int16)),
    ],
)
def test_arrays_that_don_t_fit_make_no_case(image: np.ndarray, labels: np.ndarray) -> None:
    with pytest.raises(ValueError):
        PreparedCase(image, labels, (1.0, 1.0, 1.0))
