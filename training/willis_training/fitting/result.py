"""What a training run leaves behind, as a value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from willis_models.findings import INTENDED_USE_STATEMENT

RESULT = "result.json"


@dataclass(frozen=True)
class Validation:
    """One line of a run's history.

    ``loss`` is the mean since the validation before; ``dice`` is by class name, None where no case
    holds the class.
    """

    step: int
    loss: float
    learning_rate: float
    dice: Mapping[str, float | None]
    mean_dice: float
    is_best: bool


@dataclass(frozen=True)
class Rates:
    """How fast samples were made and learnt, a second and over all devices.

    ``generator_per_s`` counts reading and changing them; ``network_per_s`` the steps alone.
    ``starved_share`` is the share of the time that the network waited for samples to be read.
    """

    generator_per_s: float
    network_per_s: float
    starved_share: float


@dataclass(frozen=True)
class FitResult:
    """A finished run: where its weights lie and how it went."""

    folder: Path
    best_weights: Path
    best_dice: float
    steps: int
    seconds: float
    """Wall time of training and validation over all sessions of the run."""
    history: tuple[Validation, ...]
    rates: Rates
    stopped_early: bool
    data_digest: str
    weights_sha256: str
    device: str
    processes: int


def write_result(result: FitResult) -> None:
    """Write ``result.json`` into the run's folder."""
    document = {"statement": INTENDED_USE_STATEMENT, **asdict(result)}
    path = result.folder / RESULT
    path.write_text(json.dumps(document, indent=1, default=str) + "\n")


def read_result(folder: Path) -> FitResult:
    """A finished run's result. Raises FileNotFoundError where there is none."""
    stored: dict[str, Any] = json.loads((folder / RESULT).read_text())
    stored.pop("statement")
    stored |= {
        "folder": folder,
        "best_weights": folder / Path(stored["best_weights"]).name,
        "history": tuple(Validation(**line) for line in stored["history"]),
        "rates": Rates(**stored["rates"]),
    }
    return FitResult(**stored)


def plan_of(folder: Path) -> dict[str, Any]:
    """The configuration that a run was made with, as it was written."""
    import yaml

    plan: dict[str, Any] = yaml.safe_load((folder / "run.yaml").read_text())
    return plan
