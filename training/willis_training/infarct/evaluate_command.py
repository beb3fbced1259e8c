"""``willis-train infarct evaluate``: the newest bundle against its baselines, with a page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from willis_models.runtime.bundle import SHIPPED_BUNDLES
from willis_training.infarct.places import EVALUATION, STORE
from willis_training.infarct.study_numbers import FIRST_TEST_NUMBER

if TYPE_CHECKING:
    from willis_models.manifest import Manifest
    from willis_training.infarct.baselines import VoxelRegression
    from willis_training.infarct.evaluate import CaseRecord
    from willis_training.infarct.evaluate_run import Court

PAGE = Path("docs/training/infarct-evaluation.md")


def evaluate(
    bundles: Annotated[
        Path, typer.Option(help="Bundles; the newest infarct bundle is judged.")
    ] = SHIPPED_BUNDLES,
    data: Annotated[Path, typer.Option(help="Folder with atlas/.")] = Path("../shared"),
    cache: Annotated[Path, typer.Option(help="Prepared heads and lesions.")] = Path(".cache"),
    store: Annotated[
        Path, typer.Option(help="Prepared training and validation cases, for the regression.")
    ] = STORE,
    cases_a_head: Annotated[int, typer.Option(help="Simulated studies for each test head.")] = 20,
    first: Annotated[
        int, typer.Option(help="Number of the first study: another number, other studies.")
    ] = FIRST_TEST_NUMBER,
    isles24: Annotated[
        Path | None,
        typer.Option(help="Judge on this ISLES'24 folder instead. Needs --split and --fold."),
    ] = None,
    split: Annotated[Path | None, typer.Option(help="File of folds of the real set.")] = None,
    fold: Annotated[str | None, typer.Option(help="Its validation cases are judged.")] = None,
    out: Annotated[
        Path, typer.Option(help="Judgements, regression and evaluation.json.")
    ] = EVALUATION,
    page: Annotated[Path, typer.Option(help="The page to write.")] = PAGE,
    workers: Annotated[int, typer.Option(help="Processes, one head each.")] = 1,
    refit: Annotated[
        bool, typer.Option(help="Fit the regression anew: the store has other cases now.")
    ] = False,
) -> None:
    """Judge the newest bundle on held-out cases against its baselines; write page and figures.

    The exported network runs through the function that serves. Beside it: the segments by
    thresholds, a voxelwise logistic regression fitted on the store's training cases, and the
    network without NCCT and CTA. Called again, it keeps the regression and judges only what is
    not judged yet.

    Real cases are judged by a network that was trained on other folds of the same split; the
    regression is then fitted on those folds too.
    """
    from willis_models.runtime.bundle import latest_bundle
    from willis_training.infarct.baselines import load_regression, save_regression
    from willis_training.infarct.evaluate_run import Court, evaluation_document, judge_simulated
    from willis_training.infarct.evaluate_summary import summarise
    from willis_training.infarct.evaluation_page import write_page

    console = Console(soft_wrap=True, highlight=False)
    bundle = latest_bundle("infarct", bundles)
    try:
        kept = out / "regression.json"
        if refit or not kept.exists():
            save_regression(_regression(store, bundle.manifest, split, fold), kept)
        regression = load_regression(kept)
        court = Court(bundle.folder, out, regression)
        if isles24 is None:
            records = judge_simulated(
                court, cache, data, cases_a_head, first, workers, console.print
            )
        else:
            records = _judge_real(court, isles24, split, fold, console)
        summary = summarise(records, source="simulated" if isles24 is None else "ISLES'24")
    except (ValueError, FileNotFoundError) as error:
        raise typer.BadParameter(str(error)) from error
    document = evaluation_document(records, summary, regression)
    (out / "evaluation.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    write_page(page, bundle.manifest, summary, records)
    console.print(f"{summary['analysed']} of {summary['cases']} cases analysed; wrote {page}")


def _regression(
    store: Path, manifest: Manifest, split: Path | None, fold: str | None
) -> VoxelRegression:
    from willis_training.fitting.samples import CaseStore
    from willis_training.infarct.evaluate_run import parts_of, regression_of

    prepared = CaseStore(store)
    if split is None:
        return regression_of(prepared, manifest, *parts_of(prepared))
    train = [case for case in _fold(split, fold)[0] if case in prepared.cases]
    chooses = train[::5]  # the fold's validation cases are those that are judged
    return regression_of(prepared, manifest, [c for c in train if c not in chooses], chooses)


def _fold(split: Path | None, fold: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    from willis_training.datasets.splits import load_folds

    if split is None:
        raise ValueError("--split is missing: the file of folds that the network was trained with.")
    folds = {one.name: one for one in load_folds(split)}
    if fold not in folds:
        raise ValueError(f"--fold: {split} has {', '.join(folds)}.")
    chosen = folds[str(fold)]
    return chosen.train, chosen.test or chosen.validation


def _judge_real(
    court: Court, root: Path, split: Path | None, fold: str | None, console: Console
) -> list[CaseRecord]:
    from functools import partial

    from willis_models.errors import InputError
    from willis_training.datasets.isles24.layout import open_isles24
    from willis_training.infarct.evaluate_cases import of_subject
    from willis_training.infarct.evaluate_run import judge_all

    judged = _fold(split, fold)[1]
    found: list[CaseRecord] = []
    for subject in open_isles24(root).subjects():
        if subject.subject_id not in judged or subject.label is None:
            continue
        try:
            cases = [(subject.subject_id, partial(of_subject, subject))]
            found += judge_all(court, cases, console.print)
        except InputError as error:
            console.print(f"{subject.subject_id} left out: {error}", markup=False)
    return found
