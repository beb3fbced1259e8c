"""``willis-train``: makes, judges and publishes the models that the service runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from willis_models.runtime.bundle import SHIPPED_BUNDLES
from willis_training.analysis.command import analyse
from willis_training.comparison.command import add_commands as add_comparison
from willis_training.curation.archive.command import curate_command
from willis_training.datasets.command import data
from willis_training.export.command import add_commands as add_export
from willis_training.fitting.command import add_commands as add_fitting
from willis_training.infarct.command import infarct
from willis_training.publication.command import add_commands as add_publication
from willis_training.scores.command import scores
from willis_training.tutorial.command import add_commands as add_tutorial

app = typer.Typer(
    help="Make, judge and publish the models that Willis runs.",
    no_args_is_help=True,
    add_completion=False,
)
aspects = typer.Typer(
    help=(
        "The ASPECTS networks, from labelled heads to a published bundle.\n\n"
        "Without a step: all of them, in order. Each resumes where it stopped."
    ),
    invoke_without_command=True,
)
app.add_typer(aspects, name="aspects")
app.command()(analyse)
app.command(name="curate")(curate_command)
app.command()(scores)
app.add_typer(data, name="data")
app.add_typer(infarct, name="infarct")
add_comparison(app)
add_fitting(app)
add_export(app)
add_publication(app)
add_tutorial(app, data)

Data = Annotated[
    Path, typer.Option(help="Folder with atlas/ (see docs/simulation.md for the public sources).")
]
Cache = Annotated[Path, typer.Option(help="Where everything derived is kept.")]
Bundles = Annotated[Path, typer.Option(help="Where bundles are published.")]
Iterations = Annotated[int, typer.Option(help="Optimiser steps of the region network.")]
CasesAHead = Annotated[int, typer.Option(help="Simulated training studies for each head.")]
TestCases = Annotated[int, typer.Option(help="Simulated test studies for each test head.")]
SynCases = Annotated[int, typer.Option(help="How many of them SyN is run on (a minute each).")]
Page = Annotated[Path, typer.Option(help="The evaluation page to write.")]
Threads = Annotated[int, typer.Option(help="Threads for training, processes for simulation.")]

StartFrom = Annotated[
    Path | None,
    typer.Option(help="Weights (best.pt of an earlier run, any grid) that training begins with."),
]

CORES = os.cpu_count() or 1
DOCS = Path("docs")
DATA, CACHE, PAGE = Path("../shared"), Path(".cache"), Path("docs/evaluation.md")


@app.callback()
def main_options() -> None:
    """Make, judge and publish the models that Willis runs."""


@aspects.callback()
def everything(
    context: typer.Context,
    data: Data = DATA,
    cache: Cache = CACHE,
    bundles: Bundles = SHIPPED_BUNDLES,
    iterations: Iterations = 3600,
    cases_a_head: CasesAHead = 60,
    test_cases: TestCases = 30,
    syn_cases: SynCases = 2,
    page: Page = PAGE,
    threads: Threads = CORES,
    start_from: StartFrom = None,
) -> None:
    """Retrain from the shared atlas and publish the next version."""
    from willis_training.aspects.command import RegionPlan, Workshop, retrain

    shop = Workshop(data, cache, bundles, Console().print)
    plan = RegionPlan(iterations, threads, start_from)
    context.obj = (shop, plan, cases_a_head)
    if context.invoked_subcommand is None:
        _require_atlas(data)
        retrain(shop, plan, cases_a_head, test_cases, syn_cases, page)


def _require_atlas(data: Path) -> None:
    if not (data / "atlas" / "heads").is_dir():
        raise typer.BadParameter(
            f"{data}/atlas/heads is missing. Give the folder with --data; docs/simulation.md names "
            "the public source of each file."
        )


@aspects.command()
def anatomy(context: typer.Context) -> None:
    """Carry the ASPECTS regions into each head by SyN; read the lesions; make the template."""
    from willis_training.aspects.command import prepare_anatomy

    _require_atlas(context.obj[0].data)
    prepare_anatomy(context.obj[0])


@aspects.command()
def simulate(context: typer.Context) -> None:
    """Simulate and prepare the training and validation studies."""
    from willis_training.aspects.command import simulate_cases

    shop, plan, cases_a_head = context.obj
    simulate_cases(shop, cases_a_head, plan.threads)


@aspects.command()
def regions(context: typer.Context) -> None:
    """Train the region network."""
    from willis_training.aspects.command import fit_regions

    shop, plan, _ = context.obj
    fit_regions(shop, plan)


@aspects.command()
def states(context: typer.Context) -> None:
    """Fit the region classifiers and choose their thresholds."""
    from willis_training.aspects.command import fit_region_states

    fit_region_states(context.obj[0])


@aspects.command()
def evaluate(
    context: typer.Context,
    test_cases: TestCases = 30,
    syn_cases: SynCases = 2,
    page: Page = PAGE,
    first: Annotated[
        int, typer.Option(help="Number of the first test study: another number, other studies.")
    ] = 7000,
) -> None:
    """Judge the newest bundle on the test heads; write the evaluation page."""
    from willis_training.aspects.command import judge_bundle, newest
    from willis_training.aspects.evaluation_page import write_page

    shop, plan, _ = context.obj
    bundle = newest(shop)
    _, summary = judge_bundle(shop, bundle, test_cases, syn_cases, plan.threads, first)
    write_page(page, bundle.manifest, summary)
    shop.report(f"wrote {page}")


@aspects.command()
def publish(
    context: typer.Context,
    test_cases: TestCases = 30,
    syn_cases: SynCases = 2,
    page: Page = PAGE,
    accept_worse: Annotated[
        str | None, typer.Option(help="Why a version goes out that is worse on the test cases.")
    ] = None,
) -> None:
    """Publish the networks in the cache as the next version, judged first."""
    from willis_training.aspects.command import publish_judged

    shop, plan, _ = context.obj
    publish_judged(shop, test_cases, syn_cases, page, plan.threads, accept_worse)


@aspects.command()
def results(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="The results folder.")] = Path(".cache/analysis"),
    cases: Annotated[int, typer.Option(help="Simulated studies for each head.")] = 8,
    member: Annotated[
        list[Path] | None,
        typer.Option(help="Weights (best.pt) of another run, for the ensemble. May be repeated."),
    ] = None,
) -> None:
    """Write what the newest bundle says of simulated studies, for `willis-train analyse`."""
    from willis_training.aspects.command import analysis_results

    shop, plan, _ = context.obj
    analysis_results(shop, out, cases, member or [], plan.threads)


@aspects.command(name="real-scans")
def real_scans(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Where the page and its pictures go.")] = DOCS,
) -> None:
    """Show what the newest bundle says of the open real scans."""
    from willis_training.aspects.command import newest
    from willis_training.aspects.real_scans import report_real_scans

    shop = context.obj[0]
    report_real_scans(shop.data, newest(shop), out)
    shop.report(f"wrote {out / 'real-scans.md'}")


def main() -> None:
    """Entry point of ``willis-train``."""
    app()
