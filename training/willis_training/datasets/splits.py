"""Splits by person and by site, stratified by lesion volume, seeded and written down.

Two examinations of one person always stay together; every split is checked for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from willis_training.datasets.base import Subject

Volumes = Mapping[str, float]
"""Lesion volume in mL by subject id: what a split is stratified by."""
FRACTIONS = (0.7, 0.15, 0.15)


@dataclass(frozen=True)
class Fold:
    """One way to part a data set: subject ids that teach, that choose, and that only judge.

    Raises ValueError where a subject or a person is in two parts.
    """

    name: str
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        parts = [self.train, self.validation, self.test]
        if len({i for part in parts for i in part}) != sum(len(part) for part in parts):
            raise ValueError(f"Fold {self.name}: a subject is in it twice.")
        people = [{subject.partition("_ses-")[0] for subject in part} for part in parts]
        if len(set().union(*people)) != sum(len(part) for part in people):
            raise ValueError(f"Fold {self.name}: the sessions of one person are in two parts.")


def split_by_subject(
    subjects: Sequence[Subject],
    fractions: Sequence[float] = FRACTIONS,
    folds: int | None = None,
    seed: int = 0,
    volumes_ml: Volumes | None = None,
) -> tuple[Fold, ...]:
    """Part by person: once by ``fractions`` (train, validation, test), or into ``folds``.

    With ``folds`` each is the test part once and the next one the validation part. With
    ``volumes_ml`` every part gets small and large lesions alike.
    """
    groups = _group(subjects, [subject.person_id for subject in subjects])
    return _split(groups, fractions, folds, seed, volumes_ml)


def split_by_site(
    subjects: Sequence[Subject],
    fractions: Sequence[float] = FRACTIONS,
    folds: int | None = None,
    seed: int = 0,
    volumes_ml: Volumes | None = None,
) -> tuple[Fold, ...]:
    """As ``split_by_subject``, but whole sites stay together. Parts are even in subjects."""
    groups = _group(subjects, [_site_of(subject) for subject in subjects])
    return _split(groups, fractions, folds, seed, volumes_ml)


def leave_one_site_out(
    subjects: Sequence[Subject],
    validation_fraction: float = 0.15,
    seed: int = 0,
    volumes_ml: Volumes | None = None,
) -> tuple[Fold, ...]:
    """One fold a site: the site judges, the others teach and, by person, choose."""
    sites = sorted({_site_of(subject) for subject in subjects})
    if len(sites) < 2:
        raise ValueError("Leaving one site out needs at least two sites.")
    found = []
    for site in sites:
        rest = [subject for subject in subjects if _site_of(subject) != site]
        groups = _group(rest, [subject.person_id for subject in rest])
        fractions = (1.0 - validation_fraction, validation_fraction)
        train, validation = _deal(groups, fractions, seed, volumes_ml)
        test = sorted(s.subject_id for s in subjects if _site_of(s) == site)
        found.append(Fold(f"without_{site}", train, validation, tuple(test)))
    return tuple(found)


def _site_of(subject: Subject) -> str:
    if subject.site is None:
        raise ValueError(f"{subject.subject_id} has no site: split by subject instead.")
    return subject.site


def _group(subjects: Sequence[Subject], names: Sequence[str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for subject, name in zip(subjects, names, strict=True):
        groups.setdefault(name, []).append(subject.subject_id)
    return {name: sorted(groups[name]) for name in sorted(groups)}


def _split(
    groups: Mapping[str, Sequence[str]],
    fractions: Sequence[float],
    folds: int | None,
    seed: int,
    volumes_ml: Volumes | None,
) -> tuple[Fold, ...]:
    wanted = 3 if folds is None else folds
    if wanted < 3 or len(groups) < wanted:
        raise ValueError(
            f"{len(groups)} groups can't be parted into {wanted}: at least 3 parts (train, "
            "validation, test) with one person or site each are needed."
        )
    if folds is None:
        train, validation, test = _deal(groups, fractions, seed, volumes_ml)
        return (Fold("split", train, validation, test),)
    parts = _deal(groups, [1.0 / folds] * folds, seed, volumes_ml)
    return tuple(_fold(parts, n) for n in range(folds))


def _fold(parts: Sequence[tuple[str, ...]], n: int) -> Fold:
    chosen = (n + 1) % len(parts)
    rest = [i for k, part in enumerate(parts) if k not in (n, chosen) for i in part]
    return Fold(f"fold_{n}", tuple(sorted(rest)), parts[chosen], parts[n])


def _deal(
    groups: Mapping[str, Sequence[str]],
    fractions: Sequence[float],
    seed: int,
    volumes_ml: Volumes | None,
) -> tuple[tuple[str, ...], ...]:
    """Deal groups out, each to the part that is furthest behind its fraction.

    Neighbours in volume are dealt one after the other, so that all parts get their share of each
    size; the order among about as many neighbours as one round needs is drawn.
    """
    share = np.asarray(fractions, dtype=np.float64)
    if (share <= 0).any() or not np.isclose(share.sum(), 1.0):
        raise ValueError(f"Fractions must be above 0 and add up to 1, not {tuple(fractions)}.")
    rng = np.random.default_rng(seed)
    parts: list[list[str]] = [[] for _ in share]
    dealt = 0
    for name in _order(groups, volumes_ml, round(1.0 / share.min()), rng):
        members = groups[name]
        dealt += len(members)
        behind = share * dealt - np.array([len(part) for part in parts])
        most = np.flatnonzero(np.isclose(behind, behind.max()))
        parts[int(rng.choice(most))] += members
    return tuple(tuple(sorted(part)) for part in parts)


def _order(
    groups: Mapping[str, Sequence[str]],
    volumes_ml: Volumes | None,
    neighbours: int,
    rng: np.random.Generator,
) -> list[str]:
    names = [str(name) for name in rng.permutation(list(groups))]
    if volumes_ml is None:
        return names
    mean = {n: float(np.mean([volumes_ml.get(i, 0.0) for i in groups[n]])) for n in names}
    names.sort(key=lambda name: mean[name])
    blocks = [names[n : n + neighbours] for n in range(0, len(names), neighbours)]
    return [str(name) for block in blocks for name in rng.permutation(block)]


def save_folds(folds: Sequence[Fold], path: Path, facts: Mapping[str, Any]) -> None:
    """Write folds with the facts that made them (data set, seed, way of splitting) as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {**facts, "folds": [asdict(fold) for fold in folds]}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def load_folds(path: Path) -> tuple[Fold, ...]:
    """Read what ``save_folds`` wrote; a fold with a leak raises ValueError."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return tuple(
        Fold(f["name"], tuple(f["train"]), tuple(f["validation"]), tuple(f["test"]))
        for f in content["folds"]
    )
