"""``willis-train infarct``: the network that predicts the final infarct, judged."""

from __future__ import annotations

import typer

from willis_training.infarct.command_steps import (
    cases,
    comparison,
    fit,
    folds,
    losses,
    publish,
)
from willis_training.infarct.evaluate_command import evaluate

infarct = typer.Typer(
    help="The network that predicts the final infarct from CT perfusion.", no_args_is_help=True
)


@infarct.callback()
def steps() -> None:
    """The network that predicts the final infarct from CT perfusion."""


for step in (cases, fit, losses, folds, comparison, evaluate, publish):
    infarct.command()(step)
