"""``willis-train curate``: a hospital's archive in, a de-identified and labelled data set out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

CORES = os.cpu_count() or 1
Source = Annotated[Path, typer.Argument(help="A DICOMDIR, its folder, or any folder tree.")]
Out = Annotated[Path, typer.Argument(help="The BIDS data set to make or to go on with.")]
Rules = Annotated[Path | None, typer.Option(help="Rules as YAML; without it, those shipped.")]
Private = Annotated[
    Path | None,
    typer.Option(help="Index, key and unfinished work: names patients. Default: OUT-private."),
]
Key = Annotated[
    Path | None, typer.Option(help="The pseudonyms' key; made where missing. Default: in PRIVATE.")
]
Template = Annotated[
    Path | None, typer.Option(help="Folder of an ASPECTS bundle whose template and atlas are used.")
]
Labels = Annotated[bool, typer.Option(help="Transfer labels to the cases with outlines.")]
Workers = Annotated[int, typer.Option(min=1, help="Processes.")]


def show_rules(wanted: bool) -> None:
    """Print the shipped rules and end."""
    if wanted:
        from willis_training.curation.archive.rules import shipped_rules_text

        typer.echo(shipped_rules_text(), nl=False)
        raise typer.Exit


ShowRules = Annotated[
    bool,
    typer.Option(
        "--show-rules", callback=show_rules, is_eager=True, help="Print the shipped rules and end."
    ),
]


def curate_command(
    source: Source,
    out: Out,
    rules: Rules = None,
    private: Private = None,
    key: Key = None,
    template: Template = None,
    labels: Labels = True,
    workers: Workers = CORES,
    print_rules: ShowRules = False,
) -> None:
    """Make a data set of a hospital's archive.

    Reads every header once, keeps the series that the rules let pass, writes NIfTI and JSON in a
    BIDS layout under pseudonyms, turns legacy ASPECTS overlays into outlines, and carries the
    ASPECTS atlas to each outlined case. Run it again to go on: what is done is not done twice.

    Look at OUT/derivatives/curation/report.md and cases.html before you train on the result.
    """
    from willis_training.curation.archive.curate import CurationJob, PlacesClash, curate
    from willis_training.curation.archive.pseudonyms import KeyUnusable
    from willis_training.curation.archive.rules import RulesInvalid, read_rules
    from willis_training.curation.archive.scan import SourceUnusable

    private = private or out.with_name(f"{out.name}-private")
    console = Console()
    try:
        job = CurationJob(
            source=source,
            out=out,
            private=private,
            key=key or private / "pseudonym.key",
            rules=read_rules(rules),
            template=template,
            with_labels=labels,
            workers=workers,
        )
        with _Bars(console) as bars:
            report = curate(job, bars.show)
    except (RulesInvalid, SourceUnusable, PlacesClash, KeyUnusable) as error:
        raise typer.BadParameter(str(error)) from error
    console.print(
        f"{report.files} files, {report.series} series: {report.kept} kept, {report.converted} "
        f"converted; {report.labelled} of {len(report.cases)} cases labelled."
    )
    console.print(f"Report: {out / 'derivatives' / 'curation' / 'report.md'}")


class _Bars:
    """A progress bar for each stage."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        columns = ("{task.description:14}", BarColumn(), MofNCompleteColumn())
        self._progress = Progress(*columns, TimeRemainingColumn(), console=console)
        self._tasks: dict[str, int] = {}

    def __enter__(self) -> _Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, stage: str, done: int, total: int | None) -> None:
        """Move a stage's bar, which appears when the stage is first heard of."""
        from rich.progress import TaskID

        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=total)
        self._progress.update(TaskID(self._tasks[stage]), completed=done, total=total)
