"""The arguments of ``willis deliveries`` and ``willis retention``."""

from __future__ import annotations

from typing import Annotated

import typer

from willis_service.application.ports.delivering import DeliveryDesk, DeliveryQuery
from willis_service.domain.delivery import DeliveryState
from willis_service.settings import load_settings

deliveries_app = typer.Typer(
    help="What was sent where: look, send again, give up, retract.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

DeliveryId = Annotated[str, typer.Argument(help="As `willis deliveries list` shows it.")]
OfJob = Annotated[str | None, typer.Option("--job", help="Only those of this job.")]
ToDestination = Annotated[str | None, typer.Option("--to", help="Only those to this destination.")]
InState = Annotated[DeliveryState | None, typer.Option("--state", help="Only those in this state.")]


@deliveries_app.command(
    "list",
    epilog="""Examples:

\b
  willis deliveries list
  willis deliveries list --state refused
  willis deliveries list --job 2f0c... --to pacs
""",
)
def list_command(
    job: OfJob = None,
    to: ToDestination = None,
    state: InState = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 50,
) -> None:
    """List destinations, and the latest deliveries with their states."""
    from willis_service.commands.deliveries import list_deliveries as command

    raise typer.Exit(command(_desk(), DeliveryQuery(job, to, state, limit)))


@deliveries_app.command(
    "retry",
    epilog="""Examples:

\b
  willis deliveries retry 8be1...                      this one
  willis deliveries retry 8be1... --again              although the destination has confirmed it
  willis deliveries retry --all --to pacs              everything that is stuck there
""",
)
def retry_command(
    delivery: Annotated[str | None, typer.Argument(help="Which one; or --all.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that are refused or waiting.")] = False,
    to: ToDestination = None,
    job: OfJob = None,
    state: InState = None,
    again: Annotated[
        bool, typer.Option(help="Even though the destination has confirmed it.")
    ] = False,
) -> None:
    """Send now what was refused, or what waits for its next try."""
    from willis_service.commands.deliveries import retry as command

    if (delivery is None) != every:
        raise typer.BadParameter("Name one delivery, or write --all.")
    raise typer.Exit(command(_desk(), delivery, DeliveryQuery(job, to, state), again))


@deliveries_app.command("drop")
def drop_command(delivery: DeliveryId) -> None:
    """Don't send it any more: the destination will never get it, and retention may proceed."""
    from willis_service.commands.deliveries import drop as command

    raise typer.Exit(command(_desk(), delivery))


@deliveries_app.command(
    "retract",
    epilog="""Example:

\b
  willis deliveries retract 2f0c... --reason "The wrong side was scored."
""",
)
def retract_command(
    job: Annotated[str, typer.Argument(help="The job whose result is wrong.")],
    reason: Annotated[str, typer.Option(help="Goes into the DICOM object; name no patient.")],
) -> None:
    """Withdraw a result: every destination that got it is told that it was rejected."""
    from willis_service.commands.deliveries import retract as command

    raise typer.Exit(command(_desk(), job, reason))


def retention_command(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would go, and why the rest stays.")
    ] = False,
) -> None:
    """Remove images and results that were delivered and kept for their time."""
    from willis_service.bootstrap.core import build_core
    from willis_service.bootstrap.delivering import retention_of
    from willis_service.commands.deliveries import retention as command

    raise typer.Exit(command(retention_of(build_core(load_settings())), dry_run))


def _desk() -> DeliveryDesk:
    from willis_service.bootstrap.core import build_core
    from willis_service.bootstrap.delivering import delivery_desk_of

    return delivery_desk_of(build_core(load_settings()))
