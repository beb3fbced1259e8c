from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.unit.training.aspects.tiny_cases import case, fill
from willis_training.comparison.example import (
    ARCHITECTURES,
    GROUPS,
    LABEL_NAMES,
    grouped,
    hemisphere,
    write_example,
)
from willis_training.comparison.plan import read_plan
from willis_training.fitting.samples import CaseStore
from willis_training.networks.build import KINDS


def test_the_regions_of_one_side_fall_into_four_groups() -> None:
    every = np.arange(21, dtype=np.uint8)
    left, right = grouped(every, True), grouped(every, False)
    assert left.tolist() == [0, 1, 1, 2, 1, 3, 3, 3, 4, 4, 4, *[0] * 10]
    assert (left[1:11] == right[11:]).all()
    assert not right[1:11].any()
    assert sum(map(len, GROUPS.values())) == 10


def test_a_right_hemisphere_is_shown_in_the_mirror() -> None:
    whole = case()
    left, right = hemisphere(whole, True), hemisphere(whole, False)
    assert left.labels.shape == (4, 8, 16)
    assert (left.labels == right.labels).all()
    assert set(np.unique(left.labels)) == set(LABEL_NAMES)
    assert left.spacing_mm == (3.0, 3.0, 3.0)  # twice the grid of the network
    assert (left.labels[..., :8] == 0).all()


def test_heads_teach_choose_and_judge_apart(tmp_path: Path) -> None:
    heads = tuple(f"head_{n:02d}" for n in range(1, 7))
    plan = read_plan(write_example(fill(tmp_path / "cases", heads), tmp_path / "out"))
    folds = plan.read_folds()
    for fold in folds:
        parts = [
            {name.partition("_ses-")[0] for name in part}
            for part in (fold.train, fold.validation, fold.test)
        ]
        assert sum(map(len, parts)) == len(set().union(*parts)) == 6
    assert len({name for fold in folds for name in fold.test}) == 12
    assert set(CaseStore(plan.store).cases) >= {name for fold in folds for name in fold.test}


def test_the_example_has_every_architecture(tmp_path: Path) -> None:
    heads = tuple(f"head_{n:02d}" for n in range(1, 5))
    plan = read_plan(write_example(fill(tmp_path / "cases", heads), tmp_path / "out"))
    (fold, _) = plan.read_folds()
    kinds = {plan.run_config(name, fold).network.kind for name in plan.architectures}
    assert kinds == set(KINDS) == set(ARCHITECTURES)


def test_too_few_heads_are_refused_with_the_way_to_more(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="willis-train aspects simulate"):
        write_example(fill(tmp_path / "cases", ("head_01", "head_02")), tmp_path / "out")
