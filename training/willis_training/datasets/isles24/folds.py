"""Five folds stratified by NIHSS, in the JSON that people publish and in this package's own.

The public layout is a MONAI data list: ``{"training": [{"caseID": "sub-stroke0001", "fold": 0,
"NCCT": ..., "label": ...}, ...]}``. Also read are nnU-Net's ``splits_final.json`` (a list of
``{"train": [...], "val": [...]}``), the same under the fold's name (``{"0": {"train": ...}}``), and
the file that ``willis-train data split`` writes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from willis_training.datasets.base import Subject
from willis_training.datasets.splits import Fold, split_by_subject

FOLDS = 5
_UNKNOWN = -1.0
_KEYS = {"ncct": "NCCT", "cta": "CTA", "cbf": "CBF", "cbv": "CBV", "mtt": "MTT", "tmax": "TMAX"}


def nihss_folds(subjects: Sequence[Subject], folds: int = FOLDS, seed: int = 0) -> tuple[Fold, ...]:
    """Folds in which each case validates once; neighbours in NIHSS are dealt to them in turn.

    The same cases and seed give the same folds, whatever order they come in. A case without a
    score counts as its own class. Raises ValueError for fewer than three folds or cases.
    """
    known = {subject.subject_id: _nihss(subject) for subject in subjects}
    parts = [fold.test for fold in split_by_subject(subjects, folds=folds, seed=seed,
                                                    volumes_ml=known)]  # fmt: skip
    return folds_of_parts({f"fold_{n}": part for n, part in enumerate(parts)})


def _nihss(subject: Subject) -> float:
    nihss = subject.facts.get("nihss")
    return nihss if isinstance(nihss, float) else _UNKNOWN


def folds_of_parts(parts: Mapping[str, Sequence[str]]) -> tuple[Fold, ...]:
    """One fold a part: it validates, all others teach."""
    return tuple(
        Fold(
            name,
            tuple(sorted(i for other, ids in parts.items() if other != name for i in ids)),
            tuple(sorted(mine)),
        )
        for name, mine in parts.items()
    )


def read_folds(path: Path, subjects: Sequence[Subject] = ()) -> tuple[Fold, ...]:
    """Read folds in any of the layouts above.

    With ``subjects``, cases that are not among them are left out (a release may lack some), and
    ValueError is raised where none is left. Raises ValueError for another layout.
    """
    folds = _parsed(json.loads(path.read_text(encoding="utf-8")), path)
    if not subjects:
        return folds
    there = {subject.subject_id for subject in subjects}
    kept = tuple(
        Fold(
            fold.name,
            tuple(i for i in fold.train if i in there),
            tuple(i for i in fold.validation if i in there),
            tuple(i for i in fold.test if i in there),
        )
        for fold in folds
    )
    if not all(fold.train and fold.validation for fold in kept):
        raise ValueError(f"{path.name} names none of the data set's cases in some fold.")
    return kept


def _parsed(content: Any, path: Path) -> tuple[Fold, ...]:
    try:
        if isinstance(content, list):
            return _paired({str(n): entry for n, entry in enumerate(content)})
        if "folds" in content:
            return _own(content["folds"])
        if "training" in content:
            return folds_of_parts(_dealt(content["training"]))
        return _paired(content)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path.name} is no file of folds that is known: a MONAI data list with caseID and "
            "fold, nnU-Net's splits_final.json, or what `willis-train data split` writes."
        ) from error


def _own(folds: Sequence[Mapping[str, Any]]) -> tuple[Fold, ...]:
    return tuple(
        Fold(f["name"], tuple(f["train"]), tuple(f["validation"]), tuple(f.get("test", ())))
        for f in folds
    )


def _paired(content: Mapping[str, Mapping[str, Sequence[str]]]) -> tuple[Fold, ...]:
    return tuple(
        Fold(
            name if name.startswith("fold") else f"fold_{name}",
            tuple(entry["train"]),
            tuple(entry["val"] if "val" in entry else entry["validation"]),
            tuple(entry.get("test", ())),
        )
        for name, entry in content.items()
    )


def _dealt(entries: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    parts: dict[str, list[str]] = {}
    for entry in sorted(entries, key=lambda entry: int(entry["fold"])):
        parts.setdefault(f"fold_{int(entry['fold'])}", []).append(str(entry["caseID"]))
    return parts


def data_list(subjects: Sequence[Subject], folds: Sequence[Fold], root: Path) -> dict[str, Any]:
    """Folds in the public layout, with the paths of each case relative to ``root``."""
    by_id = {subject.subject_id: subject for subject in subjects}
    entries = [
        _entry(by_id[case], n, root) for n, fold in enumerate(folds) for case in fold.validation
    ]
    return {"training": sorted(entries, key=lambda entry: str(entry["caseID"]))}


def _entry(subject: Subject, fold: int, root: Path) -> dict[str, Any]:
    paths = {_KEYS[r]: p for r, p in subject.images.items() if r in _KEYS}
    if subject.label is not None:
        paths["label"] = subject.label
    named = {key: path.relative_to(root).as_posix() for key, path in paths.items()}
    return {"fold": fold, "caseID": subject.subject_id, **named}
