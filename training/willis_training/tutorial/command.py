"""``willis-train data example`` and ``willis-train aspects-draft``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from willis_models.runtime.bundle import SHIPPED_BUNDLES

if TYPE_CHECKING:
    from willis_training.datasets.splits import Fold


def add_commands(app: typer.Typer, data: typer.Typer) -> None:
    """Register both commands."""
    data.command(name="example")(example)
    app.command(name="aspects-draft")(aspects_draft)


def example(
    folder: Annotated[Path, typer.Argument(help="Where to write; made where it is missing.")],
    subjects: Annotated[int, typer.Option(min=3, help="Labelled subjects.")] = 12,
    seed: Annotated[int, typer.Option(help="The same seed gives the same data.")] = 0,
    study: Annotated[
        Path, typer.Option(help="A head CT (folder of DICOM files) to deform.")
    ] = Path("demo/ncct_right_mca"),
) -> None:
    """Write a small labelled data set to learn the way with.

    One simulated head CT is deformed into many: FOLDER/bids is a BIDS data set with the twenty
    ASPECTS regions of each subject in a derivative, FOLDER/unseen a DICOM series of another
    subject. It teaches the commands, and a network nothing about patients.
    """
    from rich.progress import Progress

    from willis_training.simulation.archive.heads import head_of_study
    from willis_training.tutorial.example_data import write_example_data

    if not study.is_dir():
        raise typer.BadParameter(
            f"{study} is missing. Give a folder with the DICOM files of one head CT; the "
            "repository ships demo/ncct_right_mca.",
            param_hint="--study",
        )
    with Progress(transient=True) as progress:
        task = progress.add_task("deforming", total=subjects + 1)
        written = write_example_data(
            head_of_study(study),
            folder,
            subjects,
            seed,
            report=lambda _line: progress.update(task, advance=1),
        )
    typer.echo(f"wrote {written.bids} ({subjects} subjects) and {written.series}")


def aspects_draft(
    run: Annotated[
        Path, typer.Argument(help="A finished run of `willis-train fit`.", file_okay=False)
    ],
    draft: Annotated[Path, typer.Argument(help="The draft to write.")],
    store: Annotated[Path, typer.Option(help="The prepared cases of the run.")],
    split: Annotated[Path, typer.Option(help="The file of folds of the run.")],
    material: Annotated[
        str, typer.Option(help='What the run learnt from: "name | licence | source".')
    ],
    fold: Annotated[str | None, typer.Option(help="The run's fold, if there are several.")] = None,
    bundles: Annotated[
        Path, typer.Option(help="The newest aspects bundle here lends all that was not learnt.")
    ] = SHIPPED_BUNDLES,
    results: Annotated[
        Path | None, typer.Option(help="Also write what `willis-train analyse` reads.")
    ] = None,
) -> None:
    """Make a finished run on your own head CTs a draft of the ASPECTS bundle.

    Exports the best weights behind the parity gate, judges them on the fold's test cases, and takes
    preprocessing, template, state classifiers and thresholds from the bundle that prepared the
    cases. `willis-train publish DRAFT` makes it a version.

    Example: willis-train aspects-draft runs/mine draft --store store --split folds.json --material
    "Head CT of our hospital, labelled by two readers | internal, ethics 2026-12 | our PACS"
    """
    from willis_models.manifest import LearntFrom
    from willis_models.runtime.bundle import latest_bundle
    from willis_training.aspects.own_draft import NotServable, write_draft
    from willis_training.export.parity import ExportDrift
    from willis_training.fitting.samples import CaseStore

    parts = [part.strip() for part in material.split("|")]
    if len(parts) != 3 or not all(parts):
        raise typer.BadParameter('Write "name | licence | source".', param_hint="--material")
    learnt = LearntFrom(name=parts[0], licence=parts[1], source=parts[2])
    try:
        judgement = write_draft(
            run,
            _fold(split, fold),
            CaseStore(store),
            latest_bundle("aspects", bundles),
            learnt,
            draft,
            results,
        )
    except (NotServable, ExportDrift, FileNotFoundError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    figures = ", ".join(f"{figure.name} {figure.value:.3f}" for figure in judgement.figures)
    typer.echo(f"wrote {draft}; on {judgement.cases} test cases: {figures}")


def _fold(path: Path, name: str | None) -> Fold:
    from willis_training.datasets.splits import load_folds

    folds = {fold.name: fold for fold in load_folds(path)}
    if name is None and len(folds) == 1:
        return next(iter(folds.values()))
    if name not in folds:
        raise typer.BadParameter(f"{path} has {', '.join(folds)}.", param_hint="--fold")
    return folds[name]
