"""The exported network and its baselines on one case, through the ``analyse()`` that serves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from willis_models.findings import Findings
from willis_models.manifest import Manifest
from willis_models.pipelines.base import (
    Analysis,
    Assets,
    Case,
    Pipeline,
    Predictor,
    Prepared,
    Request,
    analyse,
)
from willis_models.pipelines.infarct.interpret import CORE, PENUMBRA, PREDICTED
from willis_models.pipelines.infarct.parameters import parameters_of
from willis_models.pipelines.infarct.pipeline import INFARCT
from willis_models.pipelines.infarct.predicted import calibrate
from willis_models.pipelines.infarct.prepare import OnGrid, on_grid
from willis_training.analysis.calibration import LEAST_FOREGROUND, Tally
from willis_training.infarct.baselines import VoxelRegression
from willis_training.infarct.challenge import ChallengeScore, score
from willis_training.infarct.evaluate_cases import EvaluationCase, spacing_of
from willis_training.infarct.preparation import truth_on_grid

NETWORK = "network"
NETWORK_BARE = "network, perfusion only"
RCBF, TMAX, REGRESSION = "rCBF < 30%", "Tmax > 6 s", "logistic regression"
BASELINES = (RCBF, TMAX, REGRESSION)
Output = NDArray[np.float32]


@dataclass(frozen=True)
class CaseRecord:
    """What one case gave; JSON values only.

    ``scores`` by method. ``interval_ml`` of the predicted volume. ``reliability``: counts, summed
    probability and infarcted voxels in bins of probability, before and after the temperature.
    """

    case_id: str
    group: str
    centre: str
    status: str
    code: str | None
    truth_ml: float
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    interval_ml: tuple[float, float] | None = None
    coverage: float | None = None
    reliability: Mapping[str, list[list[float]]] = field(default_factory=dict)
    unseen_share: float = 0.0
    facts: Mapping[str, float | str] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass
class _Kept:
    """A predictor that keeps what it said; the runner does not hand that back."""

    predictor: Predictor
    output: Output | None = None

    @property
    def identity(self) -> Any:
        """Of the predictor within."""
        return self.predictor.identity

    def __call__(self, network_input: Output) -> Output:
        self.output = self.predictor(network_input)
        return self.output


@dataclass
class _Once:
    """``prepare`` that keeps what it gave, so that perfusion is measured once for all methods."""

    prepared: Prepared | None = None

    def __call__(
        self, case: Case, manifest: Manifest, assets: Assets, request: Request
    ) -> Prepared:
        if self.prepared is None:
            self.prepared = INFARCT.prepare(case, manifest, assets, request)
        return self.prepared


def judge(
    case: EvaluationCase,
    manifest: Manifest,
    assets: Assets,
    predictor: Predictor,
    regression: VoxelRegression | None = None,
) -> CaseRecord:
    """Analyse a case as the service does, and compare every method with its truth."""
    once, kept = _Once(), _Kept(predictor)
    pipeline = replace(INFARCT, prepare=once)
    analysis = analyse(pipeline, case.images, manifest, assets, kept)
    findings = analysis.findings
    truth_ml = score(case.infarct, case.infarct, spacing_of(case.stack)).truth_ml
    record = CaseRecord(
        case_id=case.case_id,
        group=case.group,
        centre=case.centre,
        status=findings.status,
        code=findings.rejection.code if findings.rejection else None,
        truth_ml=round(truth_ml, 3),
        facts=dict(case.facts),
        seconds=round(sum(findings.timings_s.values()), 2),
    )
    if analysis.labels is None or once.prepared is None or kept.output is None:
        return record
    scenes = dict(_masks(analysis, manifest))
    if regression is not None:
        scenes[REGRESSION] = _of_regression(case, pipeline, manifest, assets, regression)
    scenes[NETWORK_BARE] = _without_stills(case, once.prepared, manifest, assets, predictor)
    reliability, unseen = _reliability(case, once.prepared.context, kept.output, manifest)
    volume = _interval(findings)
    return replace(
        record,
        scores={name: _scored(mask, case) for name, mask in scenes.items()},
        interval_ml=None if volume is None else volume[0],
        coverage=None if volume is None else volume[1],
        reliability=reliability,
        unseen_share=unseen,
    )


def _scored(mask: NDArray[np.bool_], case: EvaluationCase) -> dict[str, float]:
    found: ChallengeScore = score(mask, case.infarct, spacing_of(case.stack))
    return {key: round(float(value), 5) for key, value in asdict(found).items()}


def _masks(analysis: Analysis, manifest: Manifest) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """The network's segment, and the two that perfusion thresholds give."""
    values = {output.key: output.value for output in manifest.outputs}
    labels = analysis.labels
    assert labels is not None  # narrowed by the caller; a rejected study has none
    yield NETWORK, _segment(analysis.overlays, manifest)
    yield RCBF, labels == values[CORE]
    yield TMAX, (labels == values[CORE]) | (labels == values[PENUMBRA])


def _segment(overlays: Sequence[NDArray[np.uint8]], manifest: Manifest) -> NDArray[np.bool_]:
    """The predicted infarct in whichever layer it lies."""
    value = next(output.value for output in manifest.outputs if output.key == PREDICTED)
    return np.asarray(np.logical_or.reduce([overlay == value for overlay in overlays]))


def _of_regression(
    case: EvaluationCase,
    pipeline: Pipeline,
    manifest: Manifest,
    assets: Assets,
    regression: VoxelRegression,
) -> NDArray[np.bool_]:
    """The regression in the network's place, with its own threshold and no temperature."""
    own = manifest_for(manifest, regression.threshold)
    return _segment(analyse(pipeline, case.images, own, assets, regression).overlays, own)


def manifest_for(manifest: Manifest, threshold: float) -> Manifest:
    """The manifest with another threshold and a temperature of one."""
    prediction = {**manifest.parameters["prediction"], "temperature": 1.0, "offset": 0.0}
    chosen = manifest.thresholds[PREDICTED].model_copy(update={"value": threshold})
    return manifest.model_copy(
        update={
            "parameters": {**manifest.parameters, "prediction": prediction},
            "thresholds": {**manifest.thresholds, PREDICTED: chosen},
        }
    )


def _without_stills(
    case: EvaluationCase,
    prepared: Prepared,
    manifest: Manifest,
    assets: Assets,
    predictor: Predictor,
) -> NDArray[np.bool_]:
    """The network's answer when neither NCCT nor CTA is there."""
    context: OnGrid = prepared.context
    bare = on_grid(context.measured, {}, manifest)
    output = predictor(bare.network_input)
    found = INFARCT.interpret(case.images, bare, output, manifest, assets)
    return _segment(found.overlays, manifest)


def _interval(findings: Findings) -> tuple[tuple[float, float], float] | None:
    """The interval around the predicted volume, and the share of cases that it promises."""
    segment = next((one for one in findings.segments if one.key == PREDICTED), None)
    if segment is None:
        return None
    volume = next((m for m in segment.measurements if m.key == "volume_ml"), None)
    if volume is None or volume.interval is None:
        return None
    return (volume.interval.low, volume.interval.high), volume.interval.coverage


def _reliability(
    case: EvaluationCase, context: OnGrid, output: Output, manifest: Manifest
) -> tuple[dict[str, list[list[float]]], float]:
    """Bins on the network's lattice, of the voxels given at least 1% before or after calibration;
    and the share of the infarct outside them.

    The choice looks at the answers, never at the truth.
    """
    truth = truth_on_grid(case.infarct, case.stack, context.grid) > 0
    probability = output[1]
    scale = parameters_of(manifest).prediction
    calibrated = calibrate(probability, scale.temperature, scale.offset)
    among = context.brain & (np.maximum(probability, calibrated) >= LEAST_FOREGROUND)
    found = {}
    for name, values in (("before", probability), ("after", calibrated)):
        tally = Tally.empty()
        tally.add(values[among], truth[among])
        found[name] = [_rounded(part) for part in (tally.counts, tally.confidence, tally.right)]
    unseen = float((truth & ~among).sum() / max(truth.sum(), 1))
    return found, round(unseen, 4)


def _rounded(values: NDArray[np.float64]) -> list[float]:
    return [round(float(value), 3) for value in values]
