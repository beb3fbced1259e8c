"""Samples are dealt by number: the same ones in the same steps on any number of processes."""

from __future__ import annotations

import pytest

from tests.unit.training.fitting.toy_store import TRAIN, VALIDATION, toy_run, toy_store
from willis_training.fitting.lesson import StoredLesson
from willis_training.fitting.loading import Shares, batches, shares_of


@pytest.mark.parametrize(("processes", "at_once"), [(1, 8), (1, 2), (2, 4), (4, 1)])
def test_a_step_has_the_same_samples_on_any_number_of_processes(
    processes: int, at_once: int
) -> None:
    shares = [Shares(8, at_once, rank, processes) for rank in range(processes)]

    numbers = [n for share in shares for part in share.numbers(3) for n in part]

    assert numbers == list(range(24, 32))
    assert {len(part) for share in shares for part in share.numbers(3)} == {at_once}


def test_a_batch_that_can_not_be_dealt_evenly_is_refused(tmp_path) -> None:
    config = toy_run(tmp_path, batch=3)

    assert shares_of(config, 0, 3).at_once == 1
    with pytest.raises(ValueError, match="multiple of 2"):
        shares_of(config, 0, 2)
    with pytest.raises(ValueError, match="multiple of 4"):
        shares_of(config, 0, 4)


def test_a_stream_that_starts_later_gives_what_the_whole_one_gave_there(tmp_path) -> None:
    store, config = toy_store(tmp_path / "store"), toy_run(tmp_path / "run", iterations=4)
    lesson, shares = StoredLesson(store, TRAIN, VALIDATION, config), Shares(2, 1, 0, 1)

    whole = list(batches(lesson, config, shares, 0, pinned=False))
    later = list(batches(lesson, config, shares, 3, pinned=False))

    assert [batch.numbers for batch in whole] == [(n,) for n in range(8)]
    assert [batch.numbers for batch in later] == [(6,), (7,)]
    assert later[0].images.equal(whole[6].images)
