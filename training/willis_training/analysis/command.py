"""``willis-train analyse``: where a model fails, how sure it is, what it does not know."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def analyse(
    results: Annotated[Path, typer.Argument(help="Folder of results (about.json, <case>.npz).")],
    out: Annotated[Path, typer.Option(help="Folder for page, JSON and pictures.")] = Path(
        "out/analysis"
    ),
    worst: Annotated[int, typer.Option(help="How many of the worst cases get a picture.")] = 6,
) -> None:
    """Analyse errors, calibration, ensembles and strange inputs of a model: one page and JSON.

    RESULTS holds what a model said of validation and test cases beside their truth. `willis-train
    aspects results` writes such a folder; docs/training/analysis.md shows how to for any model.
    """
    from willis_training.analysis.analyse import analyse_results
    from willis_training.analysis.write import draw_all, write_analysis

    console = Console(stderr=True)
    try:
        with console.status("reading") as status:
            found = analyse_results(results, status.update)
            status.update("pictures")
            pictures = draw_all(found, results, worst)
    except (FileNotFoundError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
    write_analysis(found, pictures, out)
    tested = found.tested
    mean = sum(score.dice for score in tested) / len(tested)
    Console().print(f"{len(tested)} test cases, mean Dice {mean:.3f}; wrote {out}/analysis.html")
