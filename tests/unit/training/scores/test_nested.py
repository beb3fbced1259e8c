from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.training.scores.toy_table import toy_table
from willis_training.scores.candidates import CANDIDATES, Candidate, fit_probability
from willis_training.scores.figures import mean_area
from willis_training.scores.nested import NestedPlan, judge_candidate

PLAN = NestedPlan(outer_folds=2, inner_folds=2, seed=1)
SIGNAL = ("difference_hu", "median_difference_hu")


@pytest.mark.parametrize("name", sorted(CANDIDATES))
def test_every_classifier_learns_a_clear_signal(name: str) -> None:
    full = CANDIDATES[name]
    first = full.settings[0]
    quick = {**first, "trees": 10} if "trees" in first else first
    candidate = Candidate(full.title, full.make, (quick,))
    table = toy_table(heads=4, studies=16)
    found = judge_candidate(candidate, table, SIGNAL, PLAN)
    assert mean_area(table.rows, found.probability) > 0.9
    assert found.called[table.rows.affected].mean() > 0.5
    assert found.called[~table.rows.affected].mean() < 0.1


def test_what_only_a_seen_head_could_tell_is_worth_nothing() -> None:
    """A feature that names the row lets a memory answer perfectly where it has seen the row."""
    table = toy_table(heads=4)
    column = table.names.index("own_mean_hu")
    features = table.rows.features.copy()
    features[:, column] = np.arange(len(table))
    memorable = replace(table, rows=replace(table.rows, features=features))
    memory = Candidate("memory", lambda _setting, _seed: _Nearest(), ({},))
    found = judge_candidate(memory, memorable, ("own_mean_hu",), PLAN)
    assert 0.35 < mean_area(table.rows, found.probability) < 0.65


def test_the_setting_is_chosen_by_what_it_gives_out_of_fold() -> None:
    table = toy_table(heads=4)
    logistic = CANDIDATES["logistic"].make
    blind = {"inverse_penalty": 1.0, "is_blind": True}
    seeing = {"inverse_penalty": 1.0, "is_blind": False}

    def make(setting: dict[str, object], seed: int) -> object:
        return (
            _Inverted(logistic(setting, seed)) if setting["is_blind"] else logistic(setting, seed)
        )

    found = judge_candidate(Candidate("either", make, (blind, seeing)), table, SIGNAL, PLAN)
    assert found.chosen == (seeing, seeing)


def test_the_same_seed_gives_the_same_answers() -> None:
    table = toy_table(heads=4)
    candidate = replace(CANDIDATES["network"], settings=CANDIDATES["network"].settings[:1])
    first, second = (judge_candidate(candidate, table, SIGNAL, PLAN) for _ in range(2))
    assert (first.probability == second.probability).all()


def test_examples_of_one_class_give_their_share() -> None:
    candidate = CANDIDATES["logistic"]
    never = np.zeros(6, dtype=bool)
    probability = fit_probability(candidate, candidate.settings[0], 0, np.ones((6, 2)), never)
    assert probability(np.ones((3, 2))).tolist() == [0.0, 0.0, 0.0]


def test_slightly_covered_regions_do_not_teach() -> None:
    """With every unaffected region slightly covered, only affected ones are left to learn from."""
    table = toy_table(heads=4)
    slight = replace(table.rows, covered=np.where(table.rows.affected, table.rows.covered, 0.1))
    blurred = replace(table, rows=slight)
    found = judge_candidate(CANDIDATES["logistic"], blurred, SIGNAL, PLAN)
    assert (found.probability == 1.0).all()


class _Nearest:
    """Answers as the nearest example it has seen."""

    def fit(self, features: np.ndarray, affected: np.ndarray) -> None:
        self.features, self.affected = features[:, 0], affected

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        nearest = np.abs(features[:, :1] - self.features).argmin(axis=1)
        yes = self.affected[nearest].astype(float)
        return np.stack([1 - yes, yes], axis=1)


class _Inverted:
    """A model that says the opposite of what it learnt."""

    def __init__(self, model: object) -> None:
        self.model = model

    def fit(self, features: np.ndarray, affected: np.ndarray) -> None:
        self.model.fit(features, affected)

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        return self.model.predict_proba(features)[:, ::-1]
