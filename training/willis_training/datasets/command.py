"""``willis-train data``: look at a data set, check it, split it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from willis_training.datasets.isles24.command import isles24

if TYPE_CHECKING:
    from willis_training.datasets.base import Subject, SubjectSet
    from willis_training.datasets.splits import Fold
    from willis_training.datasets.survey import Survey

data = typer.Typer(
    help=(
        "Look at a data set, check every file of it, and split it.\n\n"
        "KIND is the layout: `atlas-v2` (ATLAS v2.0 and later, as downloaded), `curated` (what "
        "`willis-train curate` writes), `bids` (a BIDS derivative of your own) or `isles24`."
    ),
    no_args_is_help=True,
)
data.add_typer(isles24, name="isles24")

Kind = Annotated[str, typer.Argument(help="Layout: atlas-v2, curated, bids or isles24.")]
Root = Annotated[Path, typer.Argument(help="Where the data set lies.")]
Out = Annotated[Path, typer.Option(help="Folder to write into.")]
Workers = Annotated[int, typer.Option(help="Processes that read files.")]
Journal = Annotated[
    Path | None,
    typer.Option(help="Keeps what was read (JSON lines): a second run reads only what changed."),
]
CORES = os.cpu_count() or 1
By = Literal["subject", "site", "leave-one-site-out"]


@data.command()
def card(
    kind: Kind,
    root: Root,
    out: Out = Path("out/data-card"),
    workers: Workers = CORES,
    journal: Journal = None,
) -> None:
    """Count it: sites, spacings, orientations, volumes (card.md, card.json, card.png)."""
    from willis_training.datasets.card import card_markdown, data_card
    from willis_training.datasets.card_figure import draw_card

    found = _survey(_open(kind, root), workers, journal)
    described = data_card(found)
    draw_card(found, out / "card.png")
    (out / "card.json").write_text(described.model_dump_json(indent=1) + "\n", encoding="utf-8")
    (out / "card.md").write_text(card_markdown(described, "card.png"), encoding="utf-8")
    Console().print(
        f"{described.examinations} examinations of {described.persons} persons; wrote {out}/card.md"
    )


@data.command()
def check(
    kind: Kind,
    root: Root,
    workers: Workers = CORES,
    journal: Journal = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(help="A code that is no fault here, such as LABEL_EMPTY. May be repeated."),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write the faults as JSON.")] = None,
) -> None:
    """Name every faulty file with its code. Exit code 1 where there is one."""
    from willis_training.datasets.examine import FaultCode

    try:
        allowed = [FaultCode(code) for code in allow or ()]
    except ValueError as error:
        raise typer.BadParameter(f"{error}. Codes: {', '.join(FaultCode)}.") from error
    found = _survey(_open(kind, root), workers, journal)
    faults = found.faults(allowed)
    if report is not None:
        report.parent.mkdir(parents=True, exist_ok=True)
        content = [fault.model_dump(mode="json") for fault in faults]
        report.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    console = Console(soft_wrap=True)
    for fault in faults:
        place = fault.file or fault.subject_id
        console.print(f"{fault.code}  {place}: {fault.message}", markup=False, highlight=False)
    console.print(f"{len(found.examined)} examinations, {len(faults)} faults.")
    if faults:
        raise typer.Exit(1)


@data.command()
def split(
    kind: Kind,
    root: Root,
    out: Annotated[Path, typer.Option(help="The file of folds to write.")] = Path("out/folds.json"),
    by: Annotated[By, typer.Option(help="What stays together, or the site to leave out.")] = (
        "subject"
    ),
    folds: Annotated[int, typer.Option(help="Number of folds; 0: one split by fractions.")] = 0,
    fractions: Annotated[
        str, typer.Option(help="Train, validation and test, adding up to 1.")
    ] = "0.7,0.15,0.15",
    seed: Annotated[int, typer.Option(help="The same seed gives the same split.")] = 0,
    stratify: Annotated[
        bool, typer.Option(help="Spread small and large lesions evenly (reads the label maps).")
    ] = True,
    workers: Workers = CORES,
    journal: Journal = None,
) -> None:
    """Split it by person or site into folds that are written down and never drawn again."""
    from willis_training.datasets.splits import save_folds

    data_set = _open(kind, root)
    subjects = [s for s in data_set.subjects() if s.label is not None and s.images]
    volumes = _volumes(_survey(data_set, workers, journal)) if stratify else None
    try:
        parted = _part(subjects, by, folds, fractions, seed, volumes)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    facts = {"data_set": data_set.name, "by": by, "seed": seed, "stratified": stratify}
    save_folds(parted, out, facts)
    for fold in parted:
        sizes = f"{len(fold.train)} train, {len(fold.validation)} validation, {len(fold.test)} test"
        Console().print(f"{fold.name}: {sizes}")
    Console().print(f"wrote {out}")


def _part(
    subjects: list[Subject],
    by: By,
    folds: int,
    fractions: str,
    seed: int,
    volumes_ml: dict[str, float] | None,
) -> tuple[Fold, ...]:
    from willis_training.datasets.splits import leave_one_site_out, split_by_site, split_by_subject

    shares = [float(share) for share in fractions.split(",")]
    if len(shares) != 3:
        raise ValueError("Give three fractions: train, validation, test.")
    if by == "leave-one-site-out":
        validation = shares[1] / (shares[0] + shares[1])
        return leave_one_site_out(subjects, validation, seed, volumes_ml)
    way = split_by_site if by == "site" else split_by_subject
    return way(subjects, shares, folds or None, seed, volumes_ml)


def _volumes(found: Survey) -> dict[str, float]:
    return {item.subject_id: item.lesion_ml or 0.0 for item in found.examined}


def _open(kind: str, root: Path) -> SubjectSet:
    from willis_training.datasets.kinds import open_data_set

    try:
        return open_data_set(kind, root)
    except (ValueError, FileNotFoundError) as error:
        raise typer.BadParameter(str(error)) from error


def _survey(data_set: SubjectSet, workers: int, journal: Path | None) -> Survey:
    from willis_training.datasets.survey import survey

    with _progress("reading") as progress:
        return survey(data_set, workers, journal, progress)


@contextmanager
def _progress(title: str) -> Iterator[Callable[[int, int], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
