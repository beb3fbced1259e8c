"""``willis-train data isles24``: registration, folds by NIHSS, pictures, a drawn example."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from willis_models.runtime.bundle import SHIPPED_BUNDLES

if TYPE_CHECKING:
    from willis_training.datasets.isles24.layout import Isles24

isles24 = typer.Typer(
    help="ISLES'24: how its files lie, folds stratified by NIHSS, and a small drawn example.",
    no_args_is_help=True,
)
Root = Annotated[Path, typer.Argument(help="The unpacked `train` folder, or the one above it.")]
CORES = os.cpu_count() or 1


@isles24.command()
def registration(
    root: Root,
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("out/registration"),
    resampled: Annotated[
        Path | None,
        typer.Option(help="Also write every case on its NCCT's grid here, in the same layout."),
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes that read files.")] = CORES,
) -> None:
    """Compare every file with its NCCT (registration.csv, registration.md).

    Size, spacing and affine; the share of its content inside the NCCT's head; mutual information,
    and whether that rises when the file is moved. The data set itself is never written to. Exit
    code 1 where somebody should look at a file.
    """
    from willis_training.datasets.isles24.report import PAGE, registration_report

    data_set = _open(root)
    console = Console(soft_wrap=True)
    reports = registration_report(data_set.subjects(), out, workers)
    if resampled is not None:
        _write_resampled(data_set, root, resampled)
    suspects = [report for report in reports if report.is_suspect]
    for report in suspects:
        line = f"{report.subject_id} {report.role}: {report.outcome} {report.note}"
        console.print(line, markup=False, highlight=False)
    console.print(f"{len(reports)} files, {len(suspects)} to look at; wrote {out / PAGE}")
    if suspects:
        raise typer.Exit(1)


def _write_resampled(data_set: Isles24, root: Path, folder: Path) -> None:
    from willis_models.errors import InputError
    from willis_training.datasets.isles24.report import write_on_reference

    for subject in data_set.subjects():
        try:
            write_on_reference(subject, root, folder)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--resampled") from error
        except InputError as error:
            typer.echo(f"{subject.subject_id} left out: {error}", err=True)


@isles24.command()
def folds(
    root: Root,
    out: Annotated[Path, typer.Option(help="The file of folds to write, for `fit`.")] = Path(
        "out/isles24-folds.json"
    ),
    given: Annotated[
        Path | None,
        typer.Option("--from", help="Take published folds: MONAI data list or nnU-Net's splits."),
    ] = None,
    public: Annotated[
        Path | None, typer.Option(help="Also write them as a MONAI data list with caseID and fold.")
    ] = None,
    count: Annotated[int, typer.Option("--folds", min=3, help="How many, without --from.")] = 5,
    seed: Annotated[int, typer.Option(help="The same seed gives the same folds.")] = 0,
) -> None:
    """Five folds stratified by NIHSS: drawn once and written down, or taken from a published file.

    Each case validates in one fold. Cases without a lesion mask take no part.
    """
    from willis_training.datasets.isles24.folds import data_list, nihss_folds, read_folds
    from willis_training.datasets.splits import save_folds

    data_set = _open(root)
    subjects = [subject for subject in data_set.subjects() if subject.label is not None]
    try:
        chosen = read_folds(given, subjects) if given else nihss_folds(subjects, count, seed)
    except (ValueError, OSError) as error:
        raise typer.BadParameter(str(error)) from error
    by = f"published: {given.name}" if given else "nihss"
    save_folds(chosen, out, {"data_set": data_set.name, "by": by, "seed": seed})
    if public is not None:
        public.parent.mkdir(parents=True, exist_ok=True)
        content = json.dumps(data_list(subjects, chosen, root), indent=1)
        public.write_text(content + "\n", encoding="utf-8")
    for fold in chosen:
        typer.echo(f"{fold.name}: {len(fold.train)} train, {len(fold.validation)} validation")
    typer.echo(f"wrote {out}")


@isles24.command()
def pictures(
    root: Root,
    out: Annotated[Path, typer.Option(help="Folder of the pictures.")] = Path("out/normalisation"),
    cases: Annotated[int, typer.Option(min=1, help="How many cases, spread over all.")] = 5,
    bundles: Annotated[
        Path, typer.Option(help="The newest infarct bundle here says how images are normalised.")
    ] = SHIPPED_BUNDLES,
) -> None:
    """Draw cases before and after normalisation: a slice and the values of each image (PNG).

    What is drawn as normalised is the input of the network, from the function that the service
    runs.
    """
    from willis_models.errors import InputError
    from willis_training.datasets.isles24.pictures import picture_of, spread
    from willis_training.infarct.preparation import InfarctPreparation, newest_manifest

    manifest = newest_manifest(bundles)
    prepare = InfarctPreparation(manifest)
    by_id = {s.subject_id: s for s in _open(root).subjects() if s.label is not None}
    for name in spread(sorted(by_id), cases):
        try:
            typer.echo(f"wrote {picture_of(by_id[name], manifest, prepare, out)}")
        except InputError as error:
            typer.echo(f"{name} left out: {error}", err=True)


@isles24.command()
def example(
    out: Annotated[Path, typer.Argument(help="Where to write OUT/train.")],
    cases: Annotated[int, typer.Option(min=1, help="How many.")] = 10,
    seed: Annotated[int, typer.Option(help="The same seed gives the same images.")] = 0,
) -> None:
    """Write a small tree in exactly the published layout, drawn from ellipsoids.

    It lets every step run before the real data set is there, and teaches a network nothing.
    """
    from willis_training.datasets.isles24.example import write_example

    typer.echo(f"wrote {write_example(out, cases, seed)} ({cases} cases)")


def _open(root: Path) -> Isles24:
    from willis_training.datasets.isles24.layout import open_isles24

    try:
        return open_isles24(root)
    except FileNotFoundError as error:
        raise typer.BadParameter(str(error)) from error
