"""The whole analysis of a results folder, as one value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from willis_models.findings import INTENDED_USE_STATEMENT
from willis_training.analysis.calibration import Calibration, calibrate, validation_temperature
from willis_training.analysis.outliers import OutlierModel, fit_outliers
from willis_training.analysis.results import (
    About,
    case_paths,
    load_about,
    load_cases,
    load_training_features,
)
from willis_training.analysis.scoring import CaseScore, Trend, score_case, trends
from willis_training.analysis.variants import VariantScore, compare_variants

Report = Callable[[str], None]
TEST, VALIDATION, ODD = "test", "validation", "odd"
ODDITY = "oddity"
"""The fact that says what is odd about a case of part ``odd``."""


@dataclass(frozen=True)
class OutlierScore:
    """How far one input lies from the training inputs, and what is strangest about it."""

    case_id: str
    part: str
    oddity: str | None
    distance: float
    flagged: bool
    strangest: str
    dice: float


@dataclass(frozen=True)
class Outliers:
    """The outlier score of all cases; ``threshold`` is the 99th training percentile."""

    threshold: float
    training_inputs: int
    scores: tuple[OutlierScore, ...]

    def flagged_share(self, oddity: str | None, part: str) -> tuple[int, int]:
        """(flagged, all) among the cases of a part, of one oddity where that is given."""
        among = [s for s in self.scores if s.part == part and (not oddity or s.oddity == oddity)]
        return sum(score.flagged for score in among), len(among)


@dataclass(frozen=True)
class Analysis:
    """Everything that the page shows; None or empty where the folder has no material for it."""

    about: About
    scores: tuple[CaseScore, ...]
    trends: tuple[Trend, ...]
    calibration: Calibration | None
    variants: tuple[VariantScore, ...]
    outliers: Outliers | None
    intended_use: str = INTENDED_USE_STATEMENT
    performance_on_patients: str = "not measured"

    @property
    def tested(self) -> list[CaseScore]:
        """The test cases, worst first."""
        found = [score for score in self.scores if score.part == TEST]
        return sorted(found, key=lambda score: score.dice)


def analyse_results(folder: Path, report: Report = lambda _line: None) -> Analysis:
    """Read a results folder and judge it. Raises ValueError where it has no test case."""
    about = load_about(folder)
    report(f"scoring {len(case_paths(folder))} cases")
    scores = tuple(score_case(case, about.label_names) for case in load_cases(folder))
    tested = [score for score in scores if score.part == TEST]
    if not tested:
        raise ValueError(f"{folder} has no case of part `test`: there is nothing to report.")
    calibration = None
    if any(score.part == VALIDATION for score in scores):
        report("calibration: temperature on the validation cases, error on the test cases")
        temperature, count = validation_temperature(load_cases(folder, VALIDATION))
        calibration = calibrate(temperature, count, load_cases(folder, TEST))
    report("ensembles and averaged copies")
    variants = compare_variants(load_cases(folder, TEST), about.label_names)
    report("out-of-distribution score")
    return Analysis(
        about=about,
        scores=scores,
        trends=trends(tested),
        calibration=calibration,
        variants=variants if len(variants) > 1 else (),
        outliers=_outliers(folder, scores),
    )


def _outliers(folder: Path, scores: tuple[CaseScore, ...]) -> Outliers | None:
    training = load_training_features(folder)
    if training is None:
        return None
    model = fit_outliers(training)
    found = []
    for path in case_paths(folder):
        with np.load(path) as stored:
            if "features" in stored.files:
                found.append((path.stem, np.asarray(stored["features"])))
    by_id = {score.case_id: score for score in scores}
    return Outliers(
        threshold=model.threshold,
        training_inputs=len(training.values),
        scores=tuple(_outlier(model, by_id[case_id], features) for case_id, features in found),
    )


def _outlier(model: OutlierModel, score: CaseScore, features: NDArray[np.float64]) -> OutlierScore:
    oddity = score.facts.get(ODDITY)
    return OutlierScore(
        case_id=score.case_id,
        part=score.part,
        oddity=None if oddity is None else str(oddity),
        distance=model.distance(features),
        flagged=model.flags(features),
        strangest=model.strangest(features),
        dice=score.dice,
    )
