"""The infarct bundle: the trained network, its calibration, its evaluation, its card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from willis_models.manifest import Judgement, Manifest
from willis_training.export.run import export_run
from willis_training.fitting.result import plan_of, read_result
from willis_training.fitting.samples import CaseStore
from willis_training.infarct.answers import answers_of
from willis_training.infarct.bundle_calibration import Settings, calibrated_settings
from willis_training.infarct.card import render_card
from willis_training.infarct.contract import manifest_parts
from willis_training.infarct.evaluate import CaseRecord
from willis_training.infarct.evaluate_run import judgement_of
from willis_training.infarct.evaluate_summary import flat_figures
from willis_training.infarct.evaluation_page_tables import methods_table
from willis_training.publication import material
from willis_training.publication.bundle import (
    UNSIGNED,
    BundleContent,
    Release,
    next_version,
    publish,
)
from willis_training.publication.provenance import provenance_of

LEARNT_FROM = (
    material.HEADS,
    material.ACUTE_LESIONS,
    material.TERRITORIES,
    material.MNI_TEMPLATE,
)
PARITY_CASES = 3
SIMULATED_LIMITS = (
    "It learnt from simulated perfusion scans only, in which the outcome is drawn by a model with "
    "parameters that no measurement backs.",
    "The probability and the volume's interval are calibrated on simulated data.",
)


@dataclass(frozen=True)
class TrainedNetwork:
    """A finished run and the cases that it is calibrated with."""

    run: Path
    store: CaseStore
    calibrating: Sequence[str]


def judged_document(document: Mapping[str, Any]) -> tuple[dict[str, Any], Judgement]:
    """``evaluation.json`` of ``willis-train infarct evaluate`` with the card's table and the
    manifest's figures, and the judgement that versions are compared by."""
    records = [CaseRecord(**record) for record in document["cases"]]
    summary = document["summary"]
    shown = {"figures": flat_figures(summary), "table": methods_table(summary)}
    return {**document, **shown}, judgement_of(records, summary)


def manifest_with(settings: Settings) -> dict[str, Any]:
    """The contract's parts with what was calibrated."""
    parts = manifest_parts()
    prediction = {
        **parts["parameters"]["prediction"],
        "temperature": round(settings.scale.temperature, 4),
        "offset": round(settings.scale.offset, 4),
        "interval": settings.interval.model_dump(),
    }
    parts["parameters"] = {**parts["parameters"], "prediction": prediction}
    chosen = f"best mean Dice on {settings.cases} simulated cases that taught nothing"
    parts["thresholds"] = {"predicted_infarct": {"value": settings.threshold, "chosen": chosen}}
    return parts


def training_facts(trained: TrainedNetwork, settings: Settings) -> dict[str, Any]:
    """How the weights came about, for the manifest and the card."""
    fit, plan = read_result(trained.run), plan_of(trained.run)
    data, start = plan.pop("data"), plan.get("start_from")
    return {
        **({} if start is None else {"started_from": _earlier(Path(start).parent)}),
        "plan": {key: plan[key] for key in ("iterations", "batch", "network", "loss", "optimiser")},
        "iterations_done": fit.steps,
        "fit": {"device": fit.device, "data_digest": fit.data_digest, "seconds": fit.seconds},
        "cases": {
            "train": len(data["train"]),
            "chose the weights": len(data["validation"]),
            "calibrated": settings.cases,
        },
        "best_validation_dice": round(fit.best_dice, 4),
    }


def _earlier(run: Path) -> dict[str, Any]:
    """The run whose weights another one began with, and what that one began with."""
    plan, fit = plan_of(run), read_result(run)
    start = plan.get("start_from")
    facts = {"iterations": fit.steps, "train": len(plan["data"]["train"])}
    return facts if start is None else {**facts, "started_from": _earlier(Path(start).parent)}


def publish_infarct(
    trained: TrainedNetwork,
    root: Path,
    evaluation: Mapping[str, Any],
    *,
    version: str | None = None,
    judgement: Judgement | None = None,
    release: Release = UNSIGNED,
) -> Path:
    """Export, hold against torch, calibrate, write the next version. Returns its folder.

    Raises what ``publish`` raises, and then nothing was written.
    """
    some = list(trained.calibrating)[:PARITY_CASES]
    exported = export_run(trained.run, trained.run, trained.store, some)
    manifest = manifest_with(settings := settings_of(trained))
    manifest |= {
        "version": version or next_version("infarct", root),
        "learnt_from": [one.model_dump() for one in LEARNT_FROM],
        "training": {**training_facts(trained, settings), "export": vars(exported.parity)},
        "evaluation": dict(evaluation.get("figures", {})),
        "limits": (*manifest["limits"], *SIMULATED_LIMITS),
        "provenance": provenance_of(read_result(trained.run).data_digest).model_dump(),
        "judgement": None if judgement is None else judgement.model_dump(),
    }
    card = render_card(Manifest.model_validate(manifest), evaluation)
    assets = {"none": np.zeros(1, np.float32)}
    content = BundleContent(manifest, assets, exported.images[0], evaluation, exported.parity, card)
    return publish(exported.report.path, content, root, release)


def settings_of(trained: TrainedNetwork) -> Settings:
    """Calibrate the best weights of a run."""
    answers = list(answers_of(trained.run, trained.store, trained.calibrating))
    least_ml = float(manifest_parts()["parameters"]["prediction"]["min_component_ml"])
    return calibrated_settings(answers, least_ml)
