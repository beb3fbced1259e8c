"""The plan of ``willis-train compare`` for the infarct networks: the recipe's run on its folds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from willis_training.comparison.plan import OWNED, OWNED_DATA
from willis_training.infarct.places import FOLDS
from willis_training.infarct.recipe import NETWORKS, run_config

PERSON = r"(.+)_\d+"
"""A simulated study's id is its head and a number: studies of one head are of one person."""
_SHARED = {"in_channels", "classes", "patch"}


def comparison_plan(
    store: Path, folder: Path, iterations: int, only_folds: Sequence[str] = ()
) -> dict[str, Any]:
    """MONAI's U-Net against the better network, by the recipe, on the store's folds."""
    run = run_config("comparison", (), (), iterations=iterations)
    settings = run.model_dump(mode="json", exclude_defaults=True)
    kept = {name: each for name, each in settings.items() if name not in OWNED}
    kept["data"] = {name: each for name, each in kept["data"].items() if name not in OWNED_DATA}
    return {
        "title": "Infarct networks compared",
        "folder": str(folder),
        "store": str(store),
        "folds": str(store / FOLDS),
        "only_folds": list(only_folds),
        "person": PERSON,
        "run": kept,
        "network": run.network.model_dump(mode="json", include=_SHARED),
        "architectures": {sizes["kind"]: _plain(sizes) for sizes in NETWORKS.values()},
    }


def write_comparison_plan(plan: dict[str, Any], path: Path) -> None:
    """Keep a plan as YAML."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(plan, sort_keys=False))


def _plain(sizes: dict[str, Any]) -> dict[str, Any]:
    """Tuples as the lists that YAML knows."""
    return {name: list(each) if isinstance(each, tuple) else each for name, each in sizes.items()}
