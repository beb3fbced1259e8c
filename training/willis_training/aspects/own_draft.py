"""A run on one's own labelled head CTs as a draft of the ASPECTS bundle, ready to publish.

The network is new; what is not learnt from region labels stays as it is in the bundle that the data
were prepared with: preprocessing, template, state classifiers and thresholds. The classifiers were
fitted to another network's labels, so the draft's limits say so.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from willis_models.findings import INTENDED_USE_STATEMENT
from willis_models.manifest import Figure, Judgement, LearntFrom
from willis_models.runtime.bundle import Bundle
from willis_training.analysis.results import About, SavedCase, save_about, save_case
from willis_training.datasets.splits import Fold
from willis_training.export.parity import onnx_run
from willis_training.export.run import export_run
from willis_training.fitting.config import RunConfig, read_config
from willis_training.fitting.result import FitResult, read_result
from willis_training.fitting.samples import CaseStore
from willis_training.metrics import dice_by_class
from willis_training.publication.provenance import provenance_of

PARITY_CASES = 3
LIMITS = (
    INTENDED_USE_STATEMENT,
    "Performance on patients: not measured.",
    "States and thresholds were fitted to the labels of another network and not refitted.",
)


class NotServable(ValueError):
    """The run's network or its cases don't fit the pipeline; the message says what to change."""


def write_draft(
    run: Path,
    fold: Fold,
    store: CaseStore,
    base: Bundle,
    material: LearntFrom,
    draft: Path,
    results: Path | None = None,
) -> Judgement:
    """Export the run's best weights and write a draft of the next version; its test figures.

    ``results`` gets what the exported network says of the validation and the test cases, for
    ``willis-train analyse``.
    ``fold`` names the cases that the run learnt from, and the test cases that judge it here for the
    first time. Raises NotServable, or ExportDrift where the file does not give what torch gives.
    """
    config = read_config(run / "run.yaml")
    _check_fits(config, store, base, fold)
    result = read_result(run)
    draft.mkdir(parents=True, exist_ok=True)
    exported = export_run(run, draft, store, (*fold.test, *fold.validation)[:PARITY_CASES])
    model = exported.report.path
    rows = _region_dice(model, store, fold.test)
    if results is not None:
        write_results(model, store, fold, f"{base.manifest.name}, draft of {run.name}", results)
    judgement = _judgement(rows, store, fold.test)
    assets: dict[str, Any] = base.assets
    np.savez_compressed(draft / "assets.npz", **assets)
    _write_json(draft / "evaluation.json", {"region_dice": rows})
    _write_json(draft / "manifest.json", _manifest(base, config, result, fold, material, judgement))
    return judgement


def _check_fits(config: RunConfig, store: CaseStore, base: Bundle, fold: Fold) -> None:
    shape, classes = base.manifest.inputs[0].shape, len(base.manifest.outputs) + 1
    network = config.network
    if network.patch != shape or network.classes != classes or network.in_channels != 1:
        raise NotServable(
            f"The pipeline takes a network for 1 channel, {classes} classes and the patch "
            f"{list(shape)}; this one has {network.in_channels}, {network.classes} and "
            f"{list(network.patch)}. Train it with these values of network.*."
        )
    wrong = [name for name in store.cases if store.index.cases[name].shape != shape]
    if wrong:
        raise NotServable(f"{wrong[0]} was not prepared for the pipeline: prepare with it.")
    if not fold.test:
        raise NotServable(f"The fold {fold.name} has no test cases to judge the network on.")


def _region_dice(
    model: Path, store: CaseStore, cases: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    """Dice of every region of every case, from the exported network; None where neither has it."""
    run = onnx_run(model)
    labels = [value for value in sorted(store.label_names) if value]
    found = {}
    for name in cases:
        case = store.read(name)
        dice = dice_by_class(run(case.image).argmax(axis=0), case.labels, labels)
        values = [None if np.isnan(d) else round(float(d), 4) for d in dice]
        found[name] = {store.label_names[n]: d for n, d in zip(labels, values, strict=True)}
    return found


def write_results(model: Path, store: CaseStore, fold: Fold, title: str, folder: Path) -> None:
    """Probabilities beside the truth, of the cases that chose and of those that judge."""
    notes = (INTENDED_USE_STATEMENT, "Performance on patients: not measured.")
    save_about(folder, About(model=title, label_names=store.label_names, notes=notes))
    run = onnx_run(model)
    for part, cases in (("validation", fold.validation), ("test", fold.test)):
        for name in cases:
            case = store.read(name)
            start = time.perf_counter()
            probabilities = run(case.image)
            seconds = time.perf_counter() - start
            saved = SavedCase(
                case_id=name,
                part=part,
                probabilities=probabilities,
                truth=case.labels,
                image=case.image[0],
                spacing_mm=case.spacing_mm,
                seconds=seconds,
            )
            save_case(folder, saved)


def _judgement(
    rows: dict[str, dict[str, float | None]], store: CaseStore, cases: Sequence[str]
) -> Judgement:
    means = [_mean([d for d in row.values() if d is not None]) for row in rows.values()]
    figures = (
        Figure(name="mean region Dice", value=round(_mean(means), 4)),
        Figure(name="lowest mean region Dice of a case", value=round(min(means), 4)),
    )
    return Judgement(test_set_sha256=store.digest(cases), cases=len(cases), figures=figures)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def _manifest(
    base: Bundle,
    config: RunConfig,
    result: FitResult,
    fold: Fold,
    material: LearntFrom,
    judgement: Judgement,
) -> dict[str, Any]:
    kept = base.manifest.model_dump(
        mode="json", include={"schema_version", "name", "pipeline", "inputs", "outputs"}
    )
    same = base.manifest.model_dump(mode="json", include={"parameters", "thresholds"})
    inherited = [limit for limit in base.manifest.limits if limit not in LIMITS]
    return {
        **kept,
        **same,
        "learnt_from": [material.model_dump()],
        "training": {
            "prepared_and_judged_with": f"{base.manifest.name} {base.manifest.version}",
            "network": config.network.model_dump(mode="json"),
            "steps": result.steps,
            "cases_that_taught": len(fold.train),
            "cases_that_chose": len(fold.validation),
            "best_validation_dice": round(result.best_dice, 4),
        },
        "evaluation": {figure.name: figure.value for figure in judgement.figures},
        "limits": [*LIMITS, *inherited],
        "provenance": provenance_of(result.data_digest).model_dump(),
        "judgement": judgement.model_dump(mode="json"),
    }


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n")
