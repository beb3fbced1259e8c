"""All runs of a comparison as one value: figures of each architecture, tests of each pair."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from willis_training.comparison.paired import PairedTest, compare_all
from willis_training.comparison.run import Outcome

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Standing:
    """One architecture over all folds. ``dice`` (cases,) is the mean over the classes of a case.

    Times are sums over the folds, memory the largest, latency (by provider) the mean.
    """

    dice: Floats
    dice_by_class: Mapping[str, float]
    parameters: int
    model_mb: float
    seconds: float
    cpu_seconds: float
    training_peak_mb: float
    gpu_peak_mb: float | None
    inference_peak_mb: float
    latency_s: Mapping[str, float]


@dataclass(frozen=True)
class Summary:
    """The whole comparison; ``standings`` best first."""

    cases: tuple[str, ...]
    classes: tuple[str, ...]
    folds: int
    standings: Mapping[str, Standing]
    tests: tuple[PairedTest, ...]
    devices: tuple[str, ...]
    load: float
    """Highest load average of the machine while a latency was taken."""


def summarise(outcomes: Sequence[Outcome], person_of: Callable[[str], str]) -> Summary:
    """``person_of`` says whose case an id is.

    Raises ValueError where architectures were not judged on the same cases.
    """
    names = list(dict.fromkeys(outcome.architecture for outcome in outcomes))
    standings = {
        name: _standing([one for one in outcomes if one.architecture == name]) for name in names
    }
    cases = _cases(outcomes, names)
    best_first = sorted(names, key=lambda name: -float(standings[name].dice.mean()))
    persons = np.array([person_of(case) for case in cases])
    judged = {name: standings[name].dice for name in best_first}
    return Summary(
        cases=cases,
        classes=tuple(standings[names[0]].dice_by_class),
        folds=len({outcome.fold for outcome in outcomes}),
        standings={name: standings[name] for name in best_first},
        tests=compare_all(judged, persons),
        devices=tuple(sorted({outcome.device for outcome in outcomes})),
        load=max(each.load for one in outcomes for each in one.latencies),
    )


def _cases(outcomes: Sequence[Outcome], names: Sequence[str]) -> tuple[str, ...]:
    judged = {
        name: tuple(
            sorted(case for one in outcomes if one.architecture == name for case in one.dice)
        )
        for name in names
    }
    if len(set(judged.values())) != 1:
        raise ValueError("The architectures were not judged on the same cases.")
    return judged[names[0]]


def _standing(outcomes: Sequence[Outcome]) -> Standing:
    rows = {case: found for one in outcomes for case, found in one.dice.items()}
    classes = list(next(iter(rows.values())))
    table = np.array([[_number(rows[case][name]) for name in classes] for case in sorted(rows)])
    gpu = [one.gpu_peak_mb for one in outcomes if one.gpu_peak_mb is not None]
    providers = [latency.provider for latency in outcomes[0].latencies]
    return Standing(
        dice=np.array([_mean(row) for row in table]),
        dice_by_class=dict(zip(classes, map(_mean, table.T), strict=True)),
        parameters=outcomes[0].parameters,
        model_mb=outcomes[0].model_mb,
        seconds=sum(one.seconds for one in outcomes),
        cpu_seconds=sum(one.cpu_seconds for one in outcomes),
        training_peak_mb=max(one.training_peak_mb for one in outcomes),
        gpu_peak_mb=max(gpu) if gpu else None,
        inference_peak_mb=max(each.peak_mb for one in outcomes for each in one.latencies),
        latency_s={
            name: float(
                np.mean(
                    [e.seconds for one in outcomes for e in one.latencies if e.provider == name]
                )
            )
            for name in providers
        },
    )


def _mean(values: Floats) -> float:
    """Mean of what is known; 1 where there was nothing to find and nothing was found."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else 1.0


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
