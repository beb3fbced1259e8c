"""The arguments of ``willis models``."""

from __future__ import annotations

import getpass
import socket
from pathlib import Path
from typing import Annotated

import typer

from willis_service.application.model_desk import ModelDesk
from willis_service.settings import load_settings

models_app = typer.Typer(
    help="The model bundles of this installation: look, add, compare, promote, roll back.",
    invoke_without_command=True,
    rich_markup_mode=None,
    epilog="""Examples:

\b
  willis models                                          what is here, which is live
  willis models add /media/aspects/0.3.0                 take a bundle in; not live yet
  willis models shadow aspects 0.3.0 --why "first look"  run it beside the live one
  willis models compare aspects                          how far they are apart
  willis models promote aspects 0.3.0 --why "board of 3 March"
  willis models rollback aspects --why "scores too low in thin slices"

docs/models.md says what each does to a running service.
""",
)

Pipeline = Annotated[str, typer.Argument(help="Which pipeline, such as aspects.")]
Version = Annotated[str, typer.Argument(help="Version of the bundle, such as 0.3.0.")]
Why = Annotated[str, typer.Option(help="Goes into the record; name no patient.")]
Who = Annotated[str | None, typer.Option(help="Who decides; the user of this machine if left out.")]


@models_app.callback()
def _list_by_default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_command()


@models_app.command("list")
def list_command() -> None:
    """List the bundles: which one is live, which in shadow, who signed them."""
    from willis_service.commands.models import list_models as command

    raise typer.Exit(command(_desk()))


@models_app.command("add")
def add_command(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="The bundle.")],
) -> None:
    """Copy a signed bundle into the data folder. It is not live before it is promoted."""
    from willis_service.commands.models import add as command

    raise typer.Exit(command(_desk(), folder))


@models_app.command("shadow")
def shadow_command(
    pipeline: Pipeline,
    why: Why,
    version: Annotated[str | None, typer.Argument(help="The candidate.")] = None,
    off: Annotated[bool, typer.Option("--off", help="Run no candidate any more.")] = False,
    who: Who = None,
) -> None:
    """Run a version on the same studies after the live one; its results go nowhere."""
    from willis_service.commands.models import shadow as command

    if (version is None) != off:
        raise typer.BadParameter("Name a version, or write --off.")
    raise typer.Exit(command(_desk(), pipeline, version, who or _this_user(), why))


@models_app.command("compare")
def compare_command(
    pipeline: Pipeline,
    worst: Annotated[int, typer.Option(min=0, help="How many studies to list.")] = 10,
) -> None:
    """Show how far the candidate was from the live model: scores, masks, time."""
    from willis_service.commands.models import compare as command

    raise typer.Exit(command(_desk(), pipeline, worst))


@models_app.command("promote")
def promote_command(pipeline: Pipeline, version: Version, why: Why, who: Who = None) -> None:
    """Make a version live, once it was loaded and proved here. New jobs follow at once."""
    from willis_service.commands.models import promote as command

    raise typer.Exit(command(_desk(), pipeline, version, who or _this_user(), why))


@models_app.command("rollback")
def rollback_command(pipeline: Pipeline, why: Why, who: Who = None) -> None:
    """Make live again what was live before the last promotion."""
    from willis_service.commands.models import roll_back as command

    raise typer.Exit(command(_desk(), pipeline, who or _this_user(), why))


@models_app.command("history")
def history_command(pipeline: Pipeline) -> None:
    """Show what was decided about a pipeline's models, by whom and why."""
    from willis_service.commands.models import history as command

    raise typer.Exit(command(_desk(), pipeline))


def _desk() -> ModelDesk:
    from willis_service.bootstrap.modelling import build_model_desk

    return build_model_desk(load_settings())


def _this_user() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()}"
