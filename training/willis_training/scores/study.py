"""The whole comparison: every classifier on every feature set, each kept once it is done."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from willis_training.scores.candidates import CANDIDATES
from willis_training.scores.features import FEATURE_SETS
from willis_training.scores.figures import Figure, area_gain, figures_of
from willis_training.scores.nested import NestedPlan, OutOfFold, judge_candidate
from willis_training.scores.table import Floats, ScoreTable

GAINS: tuple[tuple[str, str], ...] = (
    ("hu_shape_texture", "hu"),
    ("service", "hu"),
    ("service_shape_texture", "service"),
)
"""Pairs of feature sets whose difference is asked for: the second is the simpler one."""

Pair = tuple[str, str]


@dataclass(frozen=True)
class Comparison:
    """Figures of each (classifier, feature set), of the rule, and what richer features add."""

    figures: Mapping[Pair, Mapping[str, Any]]
    chosen: Mapping[Pair, Sequence[Mapping[str, Any]]]
    rule: Mapping[str, Any]
    gains: Mapping[tuple[str, str, str], Figure]
    facts: Mapping[str, Any]


def compare_candidates(
    table: ScoreTable,
    pairs: Sequence[Pair],
    plan: NestedPlan,
    folder: Path,
    advance: Callable[[Pair], None],
) -> Comparison:
    """Judge each (classifier, feature set). What ``folder`` holds already is not done again."""
    answers: dict[Pair, OutOfFold] = {}
    for pair in pairs:
        answers[pair] = _judged(table, pair, plan, folder)
        advance(pair)
    return Comparison(
        figures={
            pair: figures_of(table, found.called, found.probability)
            for pair, found in answers.items()
        },
        chosen={pair: found.chosen for pair, found in answers.items()},
        rule=figures_of(table, table.rule),
        gains=_gains(table, {pair: found.probability for pair, found in answers.items()}),
        facts=facts_of(table, plan),
    )


def facts_of(table: ScoreTable, plan: NestedPlan) -> dict[str, Any]:
    """What the comparison was made on."""
    rows = table.rows
    return {
        "studies": len(np.unique(rows.case)),
        "with_stroke": len(np.unique(rows.case[rows.drop_hu > 0])),
        "heads": len(np.unique(rows.head)),
        "lesions": len(np.unique(table.lesion[rows.drop_hu > 0])),
        "regions": len(table),
        "affected": int(rows.affected.sum()),
        "table_sha256": table.digest,
        **asdict(plan),
    }


def _gains(
    table: ScoreTable, probability: Mapping[Pair, Floats]
) -> dict[tuple[str, str, str], Figure]:
    return {
        (name, richer, simpler): area_gain(
            table, probability[name, richer], probability[name, simpler]
        )
        for name in CANDIDATES
        for richer, simpler in GAINS
        if (name, richer) in probability and (name, simpler) in probability
    }


def _judged(table: ScoreTable, pair: Pair, plan: NestedPlan, folder: Path) -> OutOfFold:
    """Answers of one candidate, from ``folder`` where the same question was asked before."""
    candidate, names = CANDIDATES[pair[0]], FEATURE_SETS[pair[1]]
    question = (table.digest, pair, names, asdict(plan), candidate.settings)
    key = hashlib.sha256(json.dumps(question, default=dict).encode()).hexdigest()[:12]
    kept = folder / f"{pair[0]}-{pair[1]}-{key}.npz"
    if not kept.exists():
        _keep(judge_candidate(candidate, table, names, plan), kept)
    with np.load(kept) as stored:
        chosen = tuple(json.loads(str(stored["chosen"])))
        return OutOfFold(stored["probability"], stored["called"], chosen)


def _keep(found: OutOfFold, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part.npz")
    chosen = json.dumps([dict(setting) for setting in found.chosen])
    np.savez(partial, probability=found.probability, called=found.called, chosen=chosen)
    os.replace(partial, path)
