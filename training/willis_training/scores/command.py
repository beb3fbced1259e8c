"""``willis-train scores``: measure all simulated studies, compare classifiers, write the page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from willis_models.runtime.bundle import SHIPPED_BUNDLES

if TYPE_CHECKING:
    from willis_training.scores.nested import NestedPlan
    from willis_training.scores.study import Comparison
    from willis_training.scores.table import LesionName, ScoreTable

EVERYTHING = "all"


def scores(
    cache: Annotated[
        Path, typer.Option(help="Folder with cases/, heads/ and lesions_acute.npz.")
    ] = Path(".cache"),
    bundles: Annotated[
        Path, typer.Option(help="Bundles; the newest aspects network labels the regions.")
    ] = SHIPPED_BUNDLES,
    classifiers: Annotated[
        str, typer.Option(help="Comma-separated: logistic, forest, boosting, network; or all.")
    ] = EVERYTHING,
    feature_sets: Annotated[
        str,
        typer.Option(
            help="Comma-separated: hu, hu_shape_texture, service, service_shape_texture; or all."
        ),
    ] = EVERYTHING,
    outer_folds: Annotated[int, typer.Option(min=2, help="Folds of heads that judge.")] = 4,
    inner_folds: Annotated[int, typer.Option(min=2, help="Folds of heads that tune.")] = 3,
    seed: Annotated[int, typer.Option(help="Seed of every model.")] = 7,
    page: Annotated[Path, typer.Option(help="The page to write.")] = Path(
        "docs/training/scores.md"
    ),
) -> None:
    """Compare classifiers of the ASPECTS regions' states by nested cross-validation.

    Four classifiers on four feature sets: HU as a reader compares them, with shape and texture,
    and the features of the shipped bundle. Training and test share no head and no lesion. Needs
    the simulated studies of `willis-train aspects anatomy` and `willis-train aspects simulate`.
    Measured studies and finished candidates are kept: a second run goes on where the first stopped.

    Example: willis-train scores --classifiers logistic,forest --feature-sets hu,hu_shape_texture
    """
    from willis_training.scores.candidates import CANDIDATES
    from willis_training.scores.features import FEATURE_SETS
    from willis_training.scores.nested import NestedPlan
    from willis_training.scores.page import write_page

    pairs = [
        (name, features)
        for name in _chosen(classifiers, tuple(CANDIDATES), "--classifiers")
        for features in _chosen(feature_sets, tuple(FEATURE_SETS), "--feature-sets")
    ]
    table = measured_table(cache, bundles)
    plan = NestedPlan(outer_folds, inner_folds, seed)
    write_page(page, compared(table, pairs, plan, cache / "scores"))
    typer.echo(f"wrote {page}")


def _chosen(text: str, known: tuple[str, ...], option: str) -> tuple[str, ...]:
    wanted = known if text == EVERYTHING else tuple(part.strip() for part in text.split(","))
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise typer.BadParameter(
            f"{', '.join(unknown)} is not known. Choose from {', '.join(known)}.",
            param_hint=option,
        )
    return wanted


def measured_table(cache: Path, bundles: Path) -> ScoreTable:
    """The regions of every study in the cache, with a progress bar."""
    from rich.progress import track

    from willis_models.runtime.bundle import latest_bundle
    from willis_models.runtime.session import open_predictor
    from willis_training.scores.table import StudyReader, join_studies

    studies = sorted((cache / "cases").glob("head_??_????.npz"))
    if not studies:
        raise typer.BadParameter(
            f"{cache}/cases holds no studies. Make them with `willis-train aspects anatomy` and "
            "`willis-train aspects simulate`.",
            param_hint="--cache",
        )
    bundle = latest_bundle("aspects", bundles)
    predictor = open_predictor(bundle, threads=1)
    reader = StudyReader(bundle, predictor, drawn_lesions(cache), cache / "scores" / "studies")
    return join_studies([reader.read(path) for path in track(studies, "measuring studies")])


def drawn_lesions(cache: Path) -> LesionName:
    """The lesion of each study, drawn again from the study's seed."""
    from functools import lru_cache

    from willis_training.aspects.cases import Lesions, lesion_of
    from willis_training.curation.heads import load_head
    from willis_training.simulation.anatomy import Anatomy

    @lru_cache(maxsize=1)
    def anatomy_of(head: str) -> Anatomy:
        return Anatomy(load_head(cache / "heads" / f"{head}.npz"))

    @lru_cache(maxsize=1)
    def banks() -> Lesions:
        return Lesions.load(cache)

    return lambda head, number: lesion_of(anatomy_of(head), banks(), number)


def compared(
    table: ScoreTable, pairs: list[tuple[str, str]], plan: NestedPlan, folder: Path
) -> Comparison:
    """Every candidate judged, with a progress bar."""
    from rich.progress import Progress

    from willis_training.scores.study import compare_candidates

    with Progress() as progress:
        task = progress.add_task("nested cross-validation", total=len(pairs))
        return compare_candidates(
            table, pairs, plan, folder, lambda _pair: progress.update(task, advance=1)
        )
