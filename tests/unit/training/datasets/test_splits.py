from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from willis_training.datasets.base import Subject
from willis_training.datasets.splits import (
    Fold,
    leave_one_site_out,
    load_folds,
    save_folds,
    split_by_site,
    split_by_subject,
)


def people(count: int = 100, sites: int = 8) -> list[Subject]:
    """Every tenth person was examined twice."""
    return [
        Subject(f"sub-{n:03d}_ses-{session}", f"R{n % sites:03d}", {})
        for n in range(count)
        for session in ((1, 2) if n % 10 == 0 else (1,))
    ]


SUBJECTS = people()
VOLUMES = {s.subject_id: float(np.exp(int(s.subject_id[4:7]) / 15)) for s in SUBJECTS}


def persons(ids: tuple[str, ...]) -> set[str]:
    return {subject.partition("_ses-")[0] for subject in ids}


def test_fractions_hold_and_sessions_of_a_person_stay_together() -> None:
    (fold,) = split_by_subject(SUBJECTS, (0.6, 0.2, 0.2), seed=3)
    sizes = [len(part) for part in (fold.train, fold.validation, fold.test)]
    assert sum(sizes) == len(SUBJECTS)
    assert sizes == pytest.approx([66, 22, 22], abs=2)
    assert not persons(fold.train) & persons(fold.test)


def test_every_subject_is_tested_exactly_once_over_the_folds() -> None:
    folds = split_by_subject(SUBJECTS, folds=5, volumes_ml=VOLUMES)
    tested = [subject for fold in folds for subject in fold.test]
    assert sorted(tested) == sorted(s.subject_id for s in SUBJECTS)
    assert [fold.validation for fold in folds] == [folds[(n + 1) % 5].test for n in range(5)]


def test_every_fold_gets_small_and_large_lesions_alike() -> None:
    logs = [
        np.log([VOLUMES[i] for i in fold.test])
        for fold in split_by_subject(SUBJECTS, folds=5, volumes_ml=VOLUMES)
    ]
    whole = np.log(list(VOLUMES.values()))
    for part in logs:
        assert part.mean() == pytest.approx(whole.mean(), abs=0.25)
        assert (part < np.percentile(whole, 20)).any() and (part > np.percentile(whole, 80)).any()


def test_the_same_seed_gives_the_same_split_in_any_order_and_another_seed_another() -> None:
    once = split_by_subject(SUBJECTS, seed=1, volumes_ml=VOLUMES)
    again = split_by_subject(SUBJECTS[::-1], seed=1, volumes_ml=VOLUMES)
    assert once == again
    assert once != split_by_subject(SUBJECTS, seed=2, volumes_ml=VOLUMES)


def test_whole_sites_stay_together() -> None:
    (fold,) = split_by_site(SUBJECTS, (0.5, 0.25, 0.25))
    site = {s.subject_id: s.site for s in SUBJECTS}
    parts = [{site[i] for i in part} for part in (fold.train, fold.validation, fold.test)]
    assert [len(part) for part in parts] == [4, 2, 2]
    assert set.union(*parts) == set(site.values())


def test_each_site_is_left_out_once_and_never_taught() -> None:
    folds = leave_one_site_out(SUBJECTS, volumes_ml=VOLUMES)
    site = {s.subject_id: s.site for s in SUBJECTS}
    assert [fold.name for fold in folds] == [f"without_R{n:03d}" for n in range(8)]
    for fold in folds:
        (left_out,) = {site[i] for i in fold.test}
        assert left_out not in {site[i] for i in fold.train + fold.validation}
        assert len(fold.train) + len(fold.validation) + len(fold.test) == len(SUBJECTS)
        assert fold.validation


def test_a_fold_with_a_leak_can_not_be_made() -> None:
    with pytest.raises(ValueError, match="sessions of one person"):
        Fold("leak", ("sub-1_ses-1",), ("sub-1_ses-2",))
    with pytest.raises(ValueError, match="twice"):
        Fold("leak", ("sub-1_ses-1",), ("sub-1_ses-1",))


def test_a_split_needs_sites_and_enough_of_them() -> None:
    with pytest.raises(ValueError, match="no site"):
        split_by_site([Subject("sub-1", None, {})])
    with pytest.raises(ValueError, match="at least two sites"):
        leave_one_site_out(people(5, sites=1))
    with pytest.raises(ValueError, match="can't be parted"):
        split_by_subject(people(2))
    with pytest.raises(ValueError, match="add up to 1"):
        split_by_subject(SUBJECTS, (0.5, 0.2, 0.2))


def test_folds_come_back_from_their_file(tmp_path: Path) -> None:
    folds = split_by_subject(SUBJECTS, folds=4)
    save_folds(folds, tmp_path / "folds.json", {"seed": 0})
    assert load_folds(tmp_path / "folds.json") == folds
