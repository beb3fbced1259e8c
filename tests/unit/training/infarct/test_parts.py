"""Cases that teach, choose and calibrate are kept apart."""

from __future__ import annotations

from pathlib import Path

from tests.unit.training.infarct.small_run import HELD, TRAIN, small_store
from willis_training.infarct.parts import parts_by_head


def test_cases_that_calibrate_neither_teach_nor_choose(tmp_path: Path) -> None:
    store = small_store(tmp_path)

    teach, choose, calibrate = parts_by_head(store, ("head_01", "head_02"), ("head_07",))

    assert teach == TRAIN
    assert choose == HELD[:2]
    assert calibrate == HELD[2:]
