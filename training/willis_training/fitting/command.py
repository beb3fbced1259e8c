"""``willis-train prepare`` and ``willis-train fit``."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from willis_models.runtime.bundle import SHIPPED_BUNDLES

if TYPE_CHECKING:
    from willis_training.fitting.config import RunConfig
    from willis_training.fitting.samples import Preparation

Way = Literal["plain", "aspects", "infarct"]


def add_commands(app: typer.Typer) -> None:
    """Register both commands."""
    app.command()(prepare)
    app.command()(fit)


def _print_example(wanted: bool) -> None:
    if wanted:
        typer.echo(files("willis_training.fitting").joinpath("example.yaml").read_text(), nl=False)
        raise typer.Exit


def fit(
    run: Annotated[Path, typer.Argument(help="The run's YAML file.")],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change one value: key=value, with a dotted key. Repeatable."),
    ] = None,
    example: Annotated[
        bool,
        typer.Option(
            "--example",
            help="Print a commented run file and stop.",
            callback=_print_example,
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Train a network on prepared cases, as one YAML file says.

    The file names the cases, the network, the loss and everything else; what it leaves out keeps
    its default. Begin with a commented one:

        willis-train fit --example > run.yaml

    and change single values without editing it:

        willis-train fit run.yaml --set optimiser.learning_rate=1e-3 --set network.kind=segresnet

    The run's folder gets best.pt (the weights that validated best), last.pt (to go on from),
    run.yaml (the whole configuration), history.jsonl, curves.png, pictures/, tensorboard/ and
    result.json. Called again, it goes on where it stopped and ends in the same weights as a run
    that never stopped. A folder whose run differs in what would change the weights is refused.

    The same file runs on a CPU, a GPU or several: a process is started for each GPU, and `batch`
    counts the samples of all of them. On several machines use torchrun with hardware.nodes set.
    """
    from willis_training.fitting.fit import fit_from_file
    from willis_training.fitting.listener import bar_on
    from willis_training.fitting.loop import TrainingDiverged

    config = _config(run, changes or ())
    try:
        with bar_on(Console(stderr=True)) as listener:
            result = fit_from_file(config, listener)
    except (ValueError, FileNotFoundError) as error:
        raise typer.BadParameter(str(error), param_hint="RUN") from error
    except TrainingDiverged as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    typer.echo(
        f"{result.best_weights}: validation Dice {result.best_dice:.4f} after {result.steps} steps"
        f"{' (stopped early)' if result.stopped_early else ''}, {result.seconds / 60:.1f} min on "
        f"{result.processes} x {result.device}"
    )


def _config(run: Path, changes: list[str] | tuple[str, ...]) -> RunConfig:
    from willis_training.fitting.config import read_config

    if not run.is_file():
        raise typer.BadParameter(
            f"{run} is missing. `willis-train fit --example > {run}` writes one.", param_hint="RUN"
        )
    try:
        return read_config(run, changes)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="RUN") from error


def prepare(
    kind: Annotated[str, typer.Argument(help="Layout: atlas-v2, curated, bids or isles24.")],
    root: Annotated[Path, typer.Argument(help="Where the data set lies.")],
    store: Annotated[Path, typer.Argument(help="Folder of prepared cases to fill.")],
    way: Annotated[
        Way,
        typer.Option(
            "--as",
            help="plain: resample and scale. aspects, infarct: what the service's pipeline does.",
        ),
    ] = "plain",
    role: Annotated[
        list[str] | None,
        typer.Option(help="plain: an image to take as a channel; the first carries the labels."),
    ] = None,
    spacing_mm: Annotated[float, typer.Option(help="plain: size of the cubic voxels.")] = 1.0,
    window: Annotated[
        str | None,
        typer.Option(help="plain: LOW,HIGH scaled to 0-1 (CT). Without: mean 0 and SD 1 (MR)."),
    ] = None,
    bundles: Annotated[
        Path, typer.Option(help="aspects, infarct: bundles; the newest one says how to prepare.")
    ] = SHIPPED_BUNDLES,
    workers: Annotated[int, typer.Option(help="Processes.")] = 1,
) -> None:
    """Prepare the labelled subjects of a data set once, as networks are shown them.

    With `--as aspects` or `--as infarct` the images go through the very function that the service
    runs, so that a network trained on them meets nothing new when it serves. Filling resumes; a
    subject is done again only where its files or the preparation changed. What the service would
    reject is set aside with its reason.
    """
    from willis_training.datasets.kinds import open_data_set
    from willis_training.fitting.samples import prepare_cases

    console = Console(stderr=True)
    try:
        subject_set = open_data_set(kind, root)
        how = _preparation(way, role or [], spacing_mm, window, bundles)
    except (ValueError, FileNotFoundError) as error:
        raise typer.BadParameter(str(error)) from error

    def report(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    filled = prepare_cases(subject_set, how, store, report, workers)
    aside = len(filled.index.set_aside)
    typer.echo(f"{store}: {len(filled.cases)} cases prepared, {aside} set aside")
    if not filled.cases:
        raise typer.Exit(1)


def _preparation(
    way: Way, roles: list[str], spacing_mm: float, window: str | None, bundles: Path
) -> Preparation:
    if way == "aspects":
        from willis_models.runtime.bundle import latest_bundle
        from willis_training.aspects.preparation import AspectsPreparation

        return AspectsPreparation(latest_bundle("aspects", bundles))
    if way == "infarct":
        from willis_training.infarct.preparation import InfarctPreparation, newest_manifest

        return InfarctPreparation(newest_manifest(bundles))
    from willis_training.fitting.preparations import PlainPreparation

    if not roles:
        raise ValueError("--role is missing: the image to take, such as t1w or ncct.")
    if spacing_mm <= 0:
        raise ValueError("--spacing-mm must be above 0.")
    return PlainPreparation(tuple(roles), spacing_mm, _window(window))


def _window(window: str | None) -> tuple[float, float] | None:
    if window is None:
        return None
    try:
        low, high = (float(limit) for limit in window.split(","))
    except ValueError as error:
        raise ValueError("--window is LOW,HIGH, for example 0,80.") from error
    if low >= high:
        raise ValueError("--window is LOW,HIGH, with LOW below HIGH.")
    return low, high
