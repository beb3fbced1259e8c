"""One architecture on one fold: train, test, export, measure; kept once it is done."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from willis_training.comparison.cost import Latency, in_child, latencies, peak_memory_mb
from willis_training.comparison.plan import ComparisonPlan
from willis_training.datasets.splits import Fold
from willis_training.fitting.config import RunConfig
from willis_training.fitting.samples import CaseStore

OUTCOME = "outcome.json"
PARITY_CASES = 2


@dataclass(frozen=True)
class Outcome:
    """What one run gave. ``dice`` is case to class name to Dice, None where neither map holds it.

    ``seconds`` and ``cpu_seconds`` are wall and processor time of training with its validations;
    ``training_peak_mb`` the resident memory of the process that trained and tested, and
    ``gpu_peak_mb`` what torch held on a GPU.
    """

    architecture: str
    fold: str
    key: str
    dice: Mapping[str, Mapping[str, float | None]]
    parameters: int
    steps: int
    seconds: float
    cpu_seconds: float
    training_peak_mb: float
    gpu_peak_mb: float | None
    model_mb: float
    parity: Mapping[str, float]
    best_validation_dice: float
    device: str
    latencies: tuple[Latency, ...] = ()


def outcome_of(plan: ComparisonPlan, architecture: str, fold: Fold) -> Outcome:
    """The outcome of one run: read where the same run is done, else made in processes of its own.

    A run that stopped goes on from its last checkpoint. Raises what training and export raise.
    """
    config = plan.run_config(architecture, fold)
    key = key_of(plan, config, fold)
    kept = config.folder / OUTCOME
    if kept.exists() and (done := read_outcome(kept)).key == key:
        return done
    bare = in_child(train_and_test, config, plan.store, architecture, fold, key)
    shape = (1, config.network.in_channels, *config.network.patch)
    costs = latencies(config.folder / "model.onnx", shape, plan.threads, plan.latency_repeats)
    outcome = replace(bare, latencies=costs)
    partial = kept.with_suffix(".part")
    partial.write_text(json.dumps(asdict(outcome), indent=1))
    os.replace(partial, kept)
    return outcome


def read_outcome(path: Path) -> Outcome:
    """An outcome as ``outcome_of`` kept it."""
    stored: dict[str, Any] = json.loads(path.read_text())
    stored["latencies"] = tuple(Latency(**latency) for latency in stored["latencies"])
    return Outcome(**stored)


def key_of(plan: ComparisonPlan, config: RunConfig, fold: Fold) -> str:
    """Changes with anything that may change the outcome."""
    used = (*fold.train, *fold.validation, *fold.test)
    parts = {
        "config": config.model_dump(mode="json", exclude={"folder", "name", "tracking"}),
        "fold": asdict(fold),
        "data": CaseStore(plan.store).digest(used),
        "timing": [plan.threads, plan.latency_repeats],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def train_and_test(
    config: RunConfig, store_folder: Path, architecture: str, fold: Fold, key: str
) -> Outcome:
    """Fit, judge on the fold's test cases, export; everything but the latencies."""
    import torch

    from willis_training.export.run import export_run, load_run
    from willis_training.fitting.fit import fit

    store = CaseStore(store_folder)
    before = time.process_time()
    result = fit(config, fold.train, fold.validation, store)
    cpu_seconds = time.process_time() - before
    network = load_run(config.folder)[1].network
    dice = judged_dice(network, store, fold.test, config)
    # Before export, whose tracer needs more memory than training.
    peak_mb = peak_memory_mb()
    exported = export_run(config.folder, config.folder, store, fold.test[:PARITY_CASES])
    on_gpu = torch.cuda.is_available() and torch.cuda.max_memory_allocated() > 0
    return Outcome(
        architecture=architecture,
        fold=fold.name,
        key=key,
        dice=dice,
        parameters=sum(weights.numel() for weights in network.parameters()),
        steps=result.steps,
        seconds=result.seconds,
        cpu_seconds=round(cpu_seconds, 1),
        training_peak_mb=round(peak_mb, 1),
        gpu_peak_mb=round(torch.cuda.max_memory_allocated() / 1e6, 1) if on_gpu else None,
        model_mb=round(exported.report.path.stat().st_size / 1e6, 3),
        parity=asdict(exported.parity),
        best_validation_dice=result.best_dice,
        device=result.device,
    )


def judged_dice(
    network: Any, store: CaseStore, cases: tuple[str, ...], config: RunConfig
) -> dict[str, dict[str, float | None]]:
    """Dice of every class of every case, by sliding windows of the training patch."""
    from willis_training.fitting.prediction import predict
    from willis_training.metrics import dice_by_class

    labels = range(1, config.network.classes)
    names = [store.label_names.get(n, str(n)) for n in labels]
    found = {}
    for name in cases:
        case = store.read(name)
        probabilities = predict(network, case.image, config.network.patch, config.overlap)
        dice = dice_by_class(probabilities.argmax(axis=0), case.labels, labels)
        values = [None if np.isnan(d) else round(float(d), 5) for d in dice]
        found[name] = dict(zip(names, values, strict=True))
    return found
