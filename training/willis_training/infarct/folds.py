"""Five folds over the heads that teach and choose, stratified by severity, written to a file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from willis_training.datasets.base import Subject
from willis_training.datasets.splits import Fold, save_folds, split_by_site
from willis_training.infarct.cases import CaseFacts

FOLDS = 5


def severity_folds(facts: Iterable[CaseFacts], seed: int = 0) -> tuple[Fold, ...]:
    """Folds in which every head is judged once; each has small and large infarcts alike.

    A head stays in one part: its cases look alike. Raises ValueError for fewer than five heads.
    """
    usable = [one for one in facts if one.rejected is None]
    subjects = [Subject(subject_id=one.name, site=one.head, images={}) for one in usable]
    volumes = {one.name: one.final_infarct_ml for one in usable}
    return split_by_site(subjects, folds=FOLDS, seed=seed, volumes_ml=volumes)


def write_folds(facts: Iterable[CaseFacts], path: Path, seed: int = 0) -> tuple[Fold, ...]:
    """Make the folds and keep them as JSON."""
    folds = severity_folds(facts, seed)
    save_folds(folds, path, {"data_set": "simulated CT perfusion", "seed": seed, "by": "head"})
    return folds
