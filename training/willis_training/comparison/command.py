"""``willis-train compare`` and ``compare-example``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from willis_training.comparison.plan import ComparisonPlan
    from willis_training.comparison.run import Outcome


def add_commands(app: typer.Typer) -> None:
    """Register both commands."""
    app.command()(compare)
    app.command(name="compare-example")(compare_example)


def compare(
    plan: Annotated[Path, typer.Argument(help="The comparison's YAML file.", dir_okay=False)],
    page: Annotated[
        Path | None,
        typer.Option(help="The page to write [default: comparison.md beside the plan]."),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="The plot to write [default: beside the page].")
    ] = None,
) -> None:
    """Compare network architectures on the same data, folds and budget.

    Each architecture is trained on each fold with the same samples in the same order, judged on
    the fold's test cases, exported to ONNX behind the parity gate and timed in a process of its
    own. The page has Dice by class, parameters, training time, latency and peak memory, and a
    paired test of each pair: Wilcoxon with Holm's correction, bootstrap interval of the difference.

    A finished run (architecture x fold) is not done again, and one that stopped goes on.
    `willis-train compare-example` writes a plan with all five architectures to start from.
    """
    from willis_training.comparison.page import write_page
    from willis_training.comparison.picture import draw_comparison
    from willis_training.comparison.plan import read_plan
    from willis_training.comparison.summary import summarise

    if not plan.is_file():
        raise typer.BadParameter(
            f"{plan} is missing. `willis-train compare-example` writes one.", param_hint="PLAN"
        )
    try:
        wanted = read_plan(plan)
    except (ValueError, FileNotFoundError) as error:
        raise typer.BadParameter(str(error), param_hint="PLAN") from error
    summary = summarise(_all_outcomes(wanted), wanted.person_of)
    page = page or plan.with_name("comparison.md")
    picture = picture or page.with_suffix(".png")
    draw_comparison(summary, picture)
    write_page(page, wanted, plan, summary, picture)
    typer.echo(f"wrote {page} and {picture}")


def _all_outcomes(plan: ComparisonPlan) -> list[Outcome]:
    from rich.progress import Progress

    from willis_training.comparison.run import outcome_of

    folds = plan.read_folds()
    runs = [(name, fold) for fold in folds for name in plan.architectures]
    found = []
    with Progress() as progress:
        task = progress.add_task("comparison", total=len(runs))
        for name, fold in runs:
            progress.update(task, description=f"{name}, {fold.name}")
            found.append(outcome_of(plan, name, fold))
            progress.update(task, advance=1)
    return found


def compare_example(
    folder: Annotated[Path, typer.Argument(help="Where plan, store, folds and results go.")] = Path(
        "runs/comparison"
    ),
    cache: Annotated[Path, typer.Option(help="Folder with the simulated studies (cases/).")] = Path(
        ".cache"
    ),
    folds: Annotated[int, typer.Option(min=2, help="Folds of heads.")] = 2,
    full_size: Annotated[
        bool, typer.Option("--full-size", help="Print a plan for GPUs and your own data, and stop.")
    ] = False,
) -> None:
    """Write a comparison that a laptop can run: simulated hemispheres at half the resolution.

    Needs the simulated studies of `willis-train aspects simulate`. Edit the plan for your own data:
    `store` and `folds` are what `willis-train prepare` and `willis-train data split` write.
    """
    if full_size:
        from willis_training.comparison.page import full_size_plan

        typer.echo(full_size_plan(), nl=False)
        return
    from willis_training.comparison.example import write_example

    try:
        plan = write_example(cache / "cases", folder, folds)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--cache") from error
    typer.echo(f"wrote {plan}; next: willis-train compare {plan}")
