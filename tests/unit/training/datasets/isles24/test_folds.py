from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from willis_training.datasets.base import Subject
from willis_training.datasets.isles24.folds import data_list, nihss_folds, read_folds
from willis_training.datasets.isles24.layout import open_isles24

CASES = [
    Subject(f"sub-stroke{n:04d}", None, {}, facts={"nihss": float(n % 31)} if n % 10 else {})
    for n in range(1, 150)
]
SEVERITIES = ((0.0, 4.0), (5.0, 15.0), (16.0, 20.0), (21.0, 42.0))
"""NIHSS classes of the public splits: minor, moderate, moderate to severe, severe."""
THREE = {"fold_0": ["a"], "fold_1": ["b"], "fold_2": ["c"]}


def severity_class(subject: Subject) -> int | None:
    nihss = subject.facts.get("nihss")
    if not isinstance(nihss, float):
        return None
    return next(n for n, (low, high) in enumerate(SEVERITIES) if low <= nihss <= high)


def test_every_case_validates_once_and_severities_are_even() -> None:
    folds = nihss_folds(CASES)
    assert sorted(i for fold in folds for i in fold.validation) == [s.subject_id for s in CASES]
    severity = {subject.subject_id: severity_class(subject) for subject in CASES}
    counts = [Counter(severity[i] for i in fold.validation) for fold in folds]
    for name in set(severity.values()):
        in_folds = [count[name] for count in counts]
        assert max(in_folds) - min(in_folds) <= 2
    assert {len(fold.validation) for fold in folds} <= {29, 30}
    assert all(not set(fold.train) & set(fold.validation) for fold in folds)


def test_the_order_of_the_cases_does_not_matter_and_the_seed_does() -> None:
    assert nihss_folds(CASES) == nihss_folds(CASES[::-1])
    assert nihss_folds(CASES) != nihss_folds(CASES, seed=1)


LAYOUTS = {
    "MONAI data list": {
        "training": [
            {"fold": n, "caseID": case, "NCCT": ["raw_data/x.nii.gz"], "label": "y.nii.gz"}
            for n, case in enumerate("abc")
        ]
    },
    "nnU-Net": [{"train": [c for c in "abc" if c != val], "val": [val]} for val in "abc"],
    "by number": {
        str(n): {"train": [c for c in "abc" if c != val], "val": [val]}
        for n, val in enumerate("abc")
    },
    "own": {
        "folds": [
            {"name": f"fold_{n}", "train": [c for c in "abc" if c != v], "validation": [v]}
            for n, v in enumerate("abc")
        ]
    },
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_published_layouts_give_the_same_folds(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "folds.json"
    path.write_text(json.dumps(LAYOUTS[layout]))
    folds = read_folds(path)
    assert {fold.name: list(fold.validation) for fold in folds} == THREE
    assert all(set(fold.train) == set("abc") - set(fold.validation) for fold in folds)


def test_cases_that_the_release_lacks_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "folds.json"
    path.write_text(json.dumps([{"train": ["a", "gone"], "val": ["b"]}]))
    (fold,) = read_folds(path, [Subject("a", None, {}), Subject("b", None, {})])
    assert fold.train == ("a",)
    with pytest.raises(ValueError, match="none of the data set's cases"):
        read_folds(path, [Subject("z", None, {})])


def test_a_case_that_teaches_and_validates_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "folds.json"
    path.write_text(json.dumps([{"train": ["a"], "val": ["a"]}]))
    with pytest.raises(ValueError, match="twice"):
        read_folds(path)
    path.write_text(json.dumps({"cases": ["a"]}))
    with pytest.raises(ValueError, match="no file of folds"):
        read_folds(path)


def test_the_public_layout_has_fold_case_and_paths(drawn: Path, tmp_path: Path) -> None:
    subjects = open_isles24(drawn).subjects()
    folds = nihss_folds(subjects, folds=3)
    content = data_list(subjects, folds, drawn)
    first = content["training"][0]
    assert first["caseID"] == "sub-stroke0001" and first["fold"] in (0, 1, 2)
    assert (drawn / first["TMAX"]).exists() and (drawn / first["label"]).exists()
    path = tmp_path / "public.json"
    path.write_text(json.dumps(content))
    assert {f.name: set(f.validation) for f in read_folds(path, subjects)} == {
        f.name: set(f.validation) for f in folds
    }
