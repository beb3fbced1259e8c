"""``willis-train infarct cases, fit, losses, publish``: from simulated scans to a bundle."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from willis_models.runtime.bundle import SHIPPED_BUNDLES
from willis_training.infarct.places import COMPARISON, FOLDS, RUNS, STORE

CORES = os.cpu_count() or 1

Data = Annotated[Path, typer.Option(help="Folder with atlas/.")]
Cache = Annotated[Path, typer.Option(help="Prepared heads and lesions.")]
Store = Annotated[Path, typer.Option(help="Prepared simulated cases.")]
Runs = Annotated[Path, typer.Option(help="Where runs keep their weights.")]
Iterations = Annotated[int, typer.Option(help="Optimiser steps.")]
Threads = Annotated[int, typer.Option(help="CPU threads.")]


def cases(
    data: Data = Path("../shared"),
    cache: Cache = Path(".cache"),
    store: Store = STORE,
    cases_a_head: Annotated[int, typer.Option(help="Studies for each training head.")] = 24,
    held_cases: Annotated[int, typer.Option(help="Studies for each head that chooses.")] = 44,
    workers: Annotated[int, typer.Option(help="Processes.")] = CORES,
) -> None:
    """Simulate perfusion studies of training and validation heads, prepared as the service does.

    Resumes; about 6 seconds a study and core. Writes the file of five folds too.
    """
    from willis_training.infarct.cases import fill_store, read_facts
    from willis_training.infarct.folds import write_folds
    from willis_training.infarct.simulated import head_paths

    report = Console(soft_wrap=True, highlight=False).print
    held, teaching = head_paths(cache, "validation"), head_paths(cache, "train")
    fill_store(held, range(held_cases), cache, data, store, report, workers)
    filled = fill_store(teaching, range(cases_a_head), cache, data, store, report, workers)
    folds = write_folds(read_facts(store), store / FOLDS)
    report(f"{len(filled.cases)} cases in {store}; {len(folds)} folds in {store / FOLDS}")


def fit(
    cache: Cache = Path(".cache"),
    store: Store = STORE,
    runs: Runs = RUNS,
    network: Annotated[str, typer.Option(help="baseline (MONAI's U-Net) or better.")] = "better",
    loss: Annotated[str, typer.Option(help="BCE, Dice, 'Dice + CE' or Tversky.")] = "Dice + CE",
    iterations: Iterations = 1200,
    fold: Annotated[
        int | None, typer.Option(help="One of the five folds, instead of the split by head.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The run's folder.")] = None,
    threads: Threads = CORES,
) -> None:
    """Train a network on the store's cases; resumes from its last checkpoint."""
    from willis_training.fitting.fit import fit_from_file
    from willis_training.fitting.listener import bar_on
    from willis_training.infarct.recipe import LOSSES, NETWORKS, run_config

    if network not in NETWORKS or loss not in LOSSES:
        raise typer.BadParameter(f"Networks: {', '.join(NETWORKS)}; losses: {', '.join(LOSSES)}.")
    train, validation = _parts(cache, store, fold)
    config = run_config(
        name or (network if fold is None else f"{network}_fold_{fold}"),
        train,
        validation,
        store=store,
        runs=runs,
        network="baseline" if network == "baseline" else "better",
        loss=loss,
        iterations=iterations,
        threads=threads,
    )
    console = Console(soft_wrap=True, highlight=False)
    with bar_on(console) as listener:
        found = fit_from_file(config, listener)
    console.print(f"{found.folder}: best validation Dice {found.best_dice:.3f}")


def losses(
    cache: Cache = Path(".cache"),
    store: Store = STORE,
    runs: Runs = RUNS,
    iterations: Iterations = 200,
) -> None:
    """Train the baseline with each loss for the same few steps, and say what became of it."""
    from willis_training.infarct.losses import compare_losses, loss_table

    console = Console(soft_wrap=True, highlight=False)
    train, validation = _parts(cache, store, None)
    rows = compare_losses(train, validation, store, runs, iterations, console.print)
    (runs / "losses.json").write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    console.print(loss_table(rows), markup=False)


def folds(
    store: Store = STORE,
    runs: Runs = RUNS,
    iterations: Iterations = 150,
) -> None:
    """Train the baseline on each of the five folds, and judge it on the heads left out."""
    from willis_training.infarct.fold_runs import fold_table, run_folds

    console = Console(soft_wrap=True, highlight=False)
    rows = run_folds(store / FOLDS, store, runs, iterations, console.print)
    (runs / FOLDS).write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    console.print(fold_table(rows), markup=False)


def comparison(
    store: Store = STORE,
    folder: Annotated[Path, typer.Option(help="Where plan and results go.")] = COMPARISON,
    iterations: Iterations = 300,
    fold: Annotated[
        list[int] | None, typer.Option(help="One of the five folds (again for more); else all.")
    ] = None,
) -> None:
    """Write the plan by which `willis-train compare` compares the baseline with the better one."""
    from willis_training.infarct.comparison import comparison_plan, write_comparison_plan

    only = [f"fold_{number}" for number in fold or ()]
    plan = folder / "plan.yaml"
    write_comparison_plan(comparison_plan(store, folder, iterations, only), plan)
    typer.echo(f"wrote {plan}; next: willis-train compare {plan}")


def publish(
    cache: Cache = Path(".cache"),
    store: Store = STORE,
    run: Annotated[Path, typer.Option(help="The run whose best weights go out.")] = RUNS / "better",
    bundles: Annotated[Path, typer.Option(help="Where bundles are published.")] = SHIPPED_BUNDLES,
    version: Annotated[str | None, typer.Option(help="Instead of the next one.")] = None,
    evaluation: Annotated[
        Path | None, typer.Option(help="evaluation.json of `willis-train infarct evaluate`.")
    ] = None,
    key: Annotated[
        Path, typer.Option(envvar="WILLIS_SIGNING_KEY", help="Private key to sign with.")
    ] = Path(".cache/signing/willis.key"),
    accept_worse: Annotated[str | None, typer.Option(help="Why a worse one goes out.")] = None,
    note: Annotated[str | None, typer.Option(help="What the changelog says.")] = None,
) -> None:
    """Calibrate, export, hold against torch, sign and write the next version of the bundle."""
    from willis_training.fitting.samples import CaseStore
    from willis_training.infarct.bundle import (
        TrainedNetwork,
        judged_document,
        publish_infarct,
    )
    from willis_training.infarct.parts import parts_by_head
    from willis_training.publication.bundle import Release
    from willis_training.publication.keys import read_signing_key

    prepared = CaseStore(store)
    _, _, calibrating = parts_by_head(prepared, *_heads(cache))
    document: dict[str, Any] = {}
    judgement = None
    if evaluation is not None:
        document, judgement = judged_document(json.loads(evaluation.read_text()))
    signing_key = read_signing_key(key) if key.is_file() else None
    folder = publish_infarct(
        TrainedNetwork(run, prepared, calibrating),
        bundles,
        document,
        version=version,
        judgement=judgement,
        release=Release(signing_key, accept_worse, note),
    )
    Console(soft_wrap=True).print(f"published {folder}" + ("" if signing_key else ", not signed"))


def _heads(cache: Path) -> tuple[list[str], list[str]]:
    """Names of the heads that teach and that choose."""
    from willis_training.infarct.simulated import head_paths

    teaching, held = (
        [path.stem for path in head_paths(cache, part)] for part in ("train", "validation")
    )
    return teaching, held


def _parts(cache: Path, store: Path, fold: int | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The cases that teach and that choose: by the split of heads, or of one of the folds."""
    from willis_training.datasets.splits import load_folds
    from willis_training.fitting.samples import CaseStore
    from willis_training.infarct.parts import parts_by_head

    if fold is None:
        train, choosing, _ = parts_by_head(CaseStore(store), *_heads(cache))
        return train, choosing
    folds = load_folds(store / FOLDS)
    if not 0 <= fold < len(folds):
        raise typer.BadParameter(f"--fold: 0 to {len(folds) - 1}.")
    return folds[fold].train, folds[fold].validation
