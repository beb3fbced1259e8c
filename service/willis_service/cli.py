"""``willis``: the command line. Typer reads the arguments, the commands do the work.

Exit codes: 0 done, 1 failure of this installation, 2 wrong usage, 3 the study was rejected.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from willis_models.errors import WillisError
from willis_models.findings import INTENDED_USE_STATEMENT
from willis_service.adapters.telemetry.logs import configure_logs
from willis_service.commands.console import err, out
from willis_service.commands.delivery_app import deliveries_app, retention_command
from willis_service.commands.exit_codes import ExitCode, exit_code_of
from willis_service.commands.models_app import models_app
from willis_service.domain.peers import Destination, checked_ae_title
from willis_service.settings import (
    DEFAULT_CALLING_AE_TITLE,
    Settings,
    SettingsError,
    load_settings,
)

_HELP = f"""Stroke imaging: a head CT goes in; ASPECTS comes out, as SEG, SR, JSON and a report.

{INTENDED_USE_STATEMENT}
"""
_EPILOG = """Examples:

\b
  willis doctor                               can this machine run it?
  willis demo                                 see the whole way once
  willis predict folder --out results         analyse here, without a service
  willis serve                                receiver, REST API and worker
  willis rules try folder                     which series would be analysed, and why?
  willis send folder --to WILLIS@host:11112   send a study to a service

Settings are environment variables named WILLIS_...

Exit codes: 0 done, 1 failure, 2 wrong usage, 3 the study was rejected.
"""

# Rich traces would print local variables, and those may hold patient data.
_app = typer.Typer(
    help=_HELP,
    epilog=_EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

_rules = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Which series goes to which pipeline: check a rule file, and try it on a study.",
)
_app.add_typer(_rules, name="rules")
_app.add_typer(deliveries_app, name="deliveries")
_app.add_typer(models_app, name="models")
_app.command("retention")(retention_command)

Study = Annotated[Path, typer.Argument(exists=True, help="Folder of DICOM files, or NIfTI in HU.")]
PipelineName = Annotated[str, typer.Option(help="Which pipeline; `willis models` lists them.")]


class Role(StrEnum):
    """Which part of the service to run."""

    ALL = "all"
    RECEIVER = "receiver"
    KEEPER = "keeper"
    COURIER = "courier"
    WORKER = "worker"
    API = "api"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave with its exit code."""
    configure_logs("critical")
    raise SystemExit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run one command and give its exit code; errors say what to do."""
    try:
        _app(list(arguments), prog_name="willis")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else ExitCode.FAILURE
    except WillisError as error:
        err().print(f"{error.code}: {error.message}", style="red", markup=False, soft_wrap=True)
        return exit_code_of(error)
    except SettingsError as error:
        err().print(str(error), style="red", markup=False, soft_wrap=True)
        return ExitCode.USAGE
    return ExitCode.OK


@_app.callback(invoke_without_command=True)
def _root(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if show_version:
        out().print(f"willis {version('willis')}")
        raise typer.Exit


@_app.command(
    epilog="""Examples:

\b
  willis serve
  WILLIS_DATA_DIR=/srv/willis WILLIS_ALLOWED_AE_TITLES=PACS@10.0.0.5 willis serve
  WILLIS_BROKER_URL=redis://queue/0 willis serve --role worker

Without a role everything runs under one supervisor, with a Redis of its own.
"""
)
def serve(
    role: Annotated[
        Role, typer.Option(help="One part alone, for a distributed service.")
    ] = Role.ALL,
) -> None:
    """Run the service: DICOM receiver, REST API and worker."""
    from willis_service.commands.serve import serve as command

    raise typer.Exit(command(_settings(), role))


@_app.command(
    epilog="""Examples:

\b
  willis predict ct-folder
  willis predict head.nii.gz --out results
  willis predict ct-folder --pipeline infarct --option aif_lps=10,-20,35
  willis predict ct-folder || echo "exit code $?: 3 means rejected"
"""
)
def predict(
    study: Study,
    pipeline: PipelineName = "aspects",
    folder: Annotated[
        Path, typer.Option("--out", help="Folder for SEG, SR, JSON and report.")
    ] = Path("willis-results"),
    options: Annotated[
        list[str] | None,
        typer.Option("--option", help="An option of the pipeline as name=value; repeatable."),
    ] = None,
) -> None:
    """Analyse a study here and now, without a service."""
    from willis_service.bootstrap.working import build_predict
    from willis_service.commands.predict import predict as command

    analyse = build_predict(_settings())
    raise typer.Exit(command(analyse, study, pipeline, folder, options or ()))


@_app.command(
    epilog="""Examples:

\b
  willis send ct-folder --to WILLIS@127.0.0.1:11112
  willis send results/seg.dcm --to PACS@10.0.0.5:104 --from WILLIS
"""
)
def send(
    study: Study,
    to: Annotated[str, typer.Option(help="The receiver, as AET@host:port.")],
    calling: Annotated[
        str, typer.Option("--from", help="Our own AE title, as the receiver knows it.")
    ] = DEFAULT_CALLING_AE_TITLE,
) -> None:
    """Send a study to a PACS or a Willis service by C-STORE."""
    from willis_service.commands.send import send as command

    try:
        destination, title = Destination.parse(to), checked_ae_title(calling)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    raise typer.Exit(command(study, destination, title))


@_rules.command(
    "check",
    epilog="""Examples:

\b
  willis rules check my-rules.toml
  willis rules check                  the rules that this installation uses

Exit codes: 0 the file is right, 2 it is not. docs/routing.md explains every key.
""",
)
def check_rules(
    file: Annotated[
        Path | None,
        typer.Argument(help="TOML file; WILLIS_RULES_FILE or the shipped rules if left out."),
    ] = None,
) -> None:
    """Say what is wrong in a rule file and what to write, or list its rules."""
    from willis_service.commands.rules import check as command

    raise typer.Exit(command(_settings(), file))


@_rules.command(
    "try",
    epilog="""Examples:

\b
  willis rules try /images/one-study
  willis rules try /images/one-study --rules my-rules.toml --sender STROKE_CT

Nothing is sent, stored or analysed. Exit codes: 0 at least one pipeline would analyse the
study, 2 wrong usage or a wrong rule file, 3 nothing would be analysed.
""",
)
def try_rules(
    study: Annotated[Path, typer.Argument(exists=True, help="Folder of one DICOM study.")],
    rules: Annotated[
        Path | None, typer.Option(help="Rule file to try instead of the installation's own.")
    ] = None,
    sender: Annotated[
        str | None,
        typer.Option(help="As if this AE title had sent it; without it senders are not asked."),
    ] = None,
) -> None:
    """Show for each series of a study which rule takes it, which is chosen, and why."""
    from willis_service.commands.rules import try_rules as command

    raise typer.Exit(command(_settings(), study, rules, sender))


@_app.command()
def doctor() -> None:
    """Check whether this machine can run Willis; say what to fix."""
    from willis_service.commands.doctor import doctor as command

    raise typer.Exit(command(_settings()))


@_app.command()
def demo(
    study: Annotated[
        Path | None,
        typer.Option(exists=True, help="Your DICOM folder; a simulated study if left out."),
    ] = None,
    pipeline: PipelineName = "aspects",
    folder: Annotated[Path, typer.Option("--out", help="Folder for the results.")] = Path(
        "out/demo"
    ),
) -> None:
    """Start a service, send it a study by C-STORE, show what it finds."""
    from willis_service.commands.demo import demo as command

    raise typer.Exit(command(study, pipeline, folder))


def _settings() -> Settings:
    return load_settings()


if __name__ == "__main__":
    main()
