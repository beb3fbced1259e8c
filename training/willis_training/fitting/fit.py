"""``fit``: train the network of a run's configuration on prepared cases."""

from __future__ import annotations

from collections.abc import Sequence

from willis_training.datasets.splits import load_folds
from willis_training.fitting.config import DataConfig, RunConfig
from willis_training.fitting.lesson import StoredLesson
from willis_training.fitting.listener import Listener
from willis_training.fitting.loop import train
from willis_training.fitting.result import FitResult
from willis_training.fitting.samples import CaseStore, RememberedCases


def fit(
    config: RunConfig,
    train_ids: Sequence[str],
    validation_ids: Sequence[str],
    store: CaseStore,
    listener: Listener | None = None,
) -> FitResult:
    """Train on ``train_ids``, choose the best weights on ``validation_ids``; resumes.

    Raises ValueError for cases that the store lacks, that are in both parts, or whose channels or
    labels the network can't take; and what ``train`` raises.
    """
    _check(config, train_ids, validation_ids, store)
    cases = RememberedCases(store.folder, config.data.memory_mb)
    lesson = StoredLesson(cases, tuple(train_ids), tuple(validation_ids), config)
    return train(config, lesson, listener)


def fit_from_file(config: RunConfig, listener: Listener | None = None) -> FitResult:
    """As ``fit``, with store and cases as the configuration names them."""
    if config.data.store is None:
        raise ValueError("data.store is missing: the folder that `willis-train prepare` filled.")
    return fit(config, *parts_of(config.data), CaseStore(config.data.store), listener)


def parts_of(data: DataConfig) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The cases that teach and those that choose: listed, or read from a file of folds."""
    if data.split is None:
        if not data.train or not data.validation:
            raise ValueError("Name the cases: data.split, or data.train and data.validation.")
        return data.train, data.validation
    folds = {fold.name: fold for fold in load_folds(data.split)}
    name = next(iter(folds)) if data.fold is None and len(folds) == 1 else data.fold
    if name not in folds:
        raise ValueError(f"data.fold is {name}; {data.split} has {', '.join(folds)}.")
    return folds[name].train, folds[name].validation


def _check(
    config: RunConfig, train_ids: Sequence[str], validation_ids: Sequence[str], store: CaseStore
) -> None:
    known, names = store.index.cases, [*train_ids, *validation_ids]
    missing = sorted(set(names) - set(known))
    if missing:
        raise ValueError(
            f"{store.folder} lacks {len(missing)} of the cases, {missing[0]} the first of them."
        )
    if not train_ids or not validation_ids:
        raise ValueError("At least one case has to teach and one to choose.")
    both = sorted(set(train_ids) & set(validation_ids))
    if both:
        raise ValueError(f"{both[0]} both teaches and chooses ({len(both)} such cases).")
    wrong = {known[name].channels for name in names} - {config.network.in_channels}
    if wrong:
        raise ValueError(f"network.in_channels is not the {wrong.pop()} channels of the cases.")
    if store.label_names and max(store.label_names) >= config.network.classes:
        raise ValueError(
            f"network.classes is {config.network.classes}; the labels need "
            f"{max(store.label_names) + 1}."
        )
