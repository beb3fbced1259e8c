"""The classifiers that are compared, each with the settings it is tuned over.

All are scikit-learn's. Settings are few and the models small: a region has some thirty affected
examples among five hundred.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

Floats = NDArray[np.float64]
Setting = Mapping[str, Any]

MISSED_COSTS = 2.0
"""A missed region weighs twice a false one, as in the service's classifiers."""
BEYOND_SD = 6.0


@dataclass(frozen=True)
class Candidate:
    """A kind of classifier: how it is made from a setting and a seed, and the settings to try."""

    title: str
    make: Callable[[Setting, int], Any]
    settings: tuple[Setting, ...]


def clip_outliers(standardised: Floats) -> Floats:
    """As the service clips its standardised features."""
    return np.clip(standardised, -BEYOND_SD, BEYOND_SD)


def _scaled(model: Any) -> Any:
    return make_pipeline(StandardScaler(), FunctionTransformer(clip_outliers), model)


def _logistic(setting: Setting, seed: int) -> Any:
    weight = {False: 1.0, True: MISSED_COSTS}
    return _scaled(
        LogisticRegression(C=setting["inverse_penalty"], max_iter=500, class_weight=weight)
    )


def _forest(setting: Setting, seed: int) -> Any:
    return RandomForestClassifier(
        n_estimators=setting["trees"],
        min_samples_leaf=setting["smallest_leaf"],
        class_weight="balanced_subsample",
        random_state=seed,
    )


def _boosting(setting: Setting, seed: int) -> Any:
    return HistGradientBoostingClassifier(
        max_iter=60,
        learning_rate=0.1,
        max_leaf_nodes=setting["leaves"],
        min_samples_leaf=10,
        l2_regularization=setting["penalty"],
        early_stopping=False,
        random_state=seed,
    )


def _network(setting: Setting, seed: int) -> Any:
    return _scaled(
        MLPClassifier(
            (setting["hidden"],),
            alpha=setting["penalty"],
            solver="lbfgs",
            max_iter=200,
            random_state=seed,
        )
    )


CANDIDATES: Mapping[str, Candidate] = {
    "logistic": Candidate(
        "logistic regression",
        _logistic,
        tuple({"inverse_penalty": c} for c in (0.01, 0.1, 1.0)),
    ),
    "forest": Candidate(
        "random forest", _forest, tuple({"trees": 120, "smallest_leaf": n} for n in (2, 5, 10))
    ),
    "boosting": Candidate(
        "gradient boosting",
        _boosting,
        (
            {"leaves": 4, "penalty": 1.0},
            {"leaves": 8, "penalty": 1.0},
            {"leaves": 4, "penalty": 10.0},
        ),
    ),
    "network": Candidate(
        "small network",
        _network,
        (
            {"hidden": 8, "penalty": 1.0},
            {"hidden": 8, "penalty": 10.0},
            {"hidden": 16, "penalty": 3.0},
        ),
    ),
}


def fit_probability(
    candidate: Candidate, setting: Setting, seed: int, features: Floats, affected: NDArray[np.bool_]
) -> Callable[[Floats], Floats]:
    """Train one classifier; a function from features (n, f) to probabilities of "affected" (n,).

    Where the examples hold one class only, the answer is their share.
    """
    is_mixed = affected.any() and not affected.all()
    model = candidate.make(setting, seed) if is_mixed else DummyClassifier(strategy="prior")
    with warnings.catch_warnings():
        # Stopping the optimiser early is part of what keeps the small network from overfitting.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features, affected)

    def probability(new_features: Floats) -> Floats:
        if not is_mixed:
            return np.full(len(new_features), float(affected.mean()) if affected.size else 0.0)
        return np.asarray(model.predict_proba(new_features)[:, 1])

    return probability
