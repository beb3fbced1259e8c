from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.training.comparison.toy_comparison import CASES, toy_plan
from willis_training.comparison.plan import read_plan


def test_every_architecture_gets_the_same_run(tmp_path: Path) -> None:
    plan = read_plan(toy_plan(tmp_path))
    (fold,) = plan.read_folds()
    first, second = (plan.run_config(name, fold) for name in plan.architectures)
    differing = {"folder", "name", "network"}
    assert first.model_dump(exclude=differing) == second.model_dump(exclude=differing)
    assert first.network.patch == second.network.patch
    assert first.folder != second.folder


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"run": {"network": {}}}, "run.network is set by the comparison"),
        ({"run": {"data": {"train": ["a"]}}}, "run.data.train is set by the comparison"),
        ({"only_folds": ["fold_9"]}, "only, not fold_9"),
        ({"person": r"head_(\d+)"}, "tells no person of the case sub-03"),
        ({"architectures": {"alone": {"kind": "unet_se"}}}, "at least 2"),
        ({"budgett": 3}, "budgett"),
        ({"network": {"patch": [15, 16, 16], "classes": 2}}, "multiples of 2"),
    ],
)
def test_a_plan_that_compares_unequally_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read_plan(toy_plan(tmp_path, **changes))


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        ([{"name": "a", "train": CASES[:2], "validation": CASES[2:4], "test": []}], "is empty"),
        (
            [
                {"name": n, "train": CASES[:2], "validation": CASES[2:4], "test": CASES[4:]}
                for n in "ab"
            ],
            "tested once",
        ),
    ],
)
def test_folds_that_do_not_judge_each_case_once_are_refused(
    tmp_path: Path, folds: list[dict[str, Any]], message: str
) -> None:
    plan = toy_plan(tmp_path)
    (tmp_path / "folds.json").write_text(json.dumps({"folds": folds}))
    with pytest.raises(ValueError, match=message):
        read_plan(plan)


def test_cases_of_one_person_are_told_by_their_ids(tmp_path: Path) -> None:
    plan = read_plan(toy_plan(tmp_path))
    assert plan.person_of("sub-03_ses-1") == "sub-03" == plan.person_of("sub-03")
    heads = plan.model_copy(update={"person": r"(.+)_\d+"})
    assert heads.person_of("head_07_0012") == "head_07"


def test_how_patches_are_read_is_shared_too(tmp_path: Path) -> None:
    plan = read_plan(toy_plan(tmp_path, run={"data": {"margin": 0.0}}))
    (fold,) = plan.read_folds()
    assert all(plan.run_config(name, fold).data.margin == 0.0 for name in plan.architectures)
