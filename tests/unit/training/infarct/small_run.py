"""A finished run of a tiny network on tiny cases."""

from __future__ import annotations

from pathlib import Path

from tests.unit.training.infarct.small_store import SHAPE, write_store
from willis_training.fitting.config import RunConfig, TrackingConfig
from willis_training.fitting.fit import fit_from_file
from willis_training.fitting.samples import CaseStore
from willis_training.infarct import recipe
from willis_training.networks.build import NetworkConfig

TRAIN = ("head_01_0000", "head_01_0001", "head_02_0000")
HELD = ("head_07_0000", "head_07_0017", *(f"head_07_{n:04d}" for n in range(18, 30)))
QUIET = TrackingConfig(tensorboard=False, pictures=0)


def small_config(folder: Path, iterations: int = 2) -> RunConfig:
    """The recipe's run, with a network of two levels."""
    made = recipe.run_config(
        "tiny",
        TRAIN,
        HELD[:2],
        store=folder / "store",
        runs=folder / "runs",
        iterations=iterations,
    )
    network = made.network.model_dump() | {"patch": SHAPE, "widths": (4, 8)}
    changes = {"network": NetworkConfig(**network), "tracking": QUIET}
    return made.model_copy(update=changes)


def small_store(folder: Path) -> CaseStore:
    """Cases of two heads that teach and one that chooses and calibrates."""
    return write_store(folder / "store", TRAIN + HELD)


def small_run(folder: Path, iterations: int = 40) -> tuple[CaseStore, Path]:
    """Train; the store and the run's folder."""
    store = small_store(folder)
    return store, fit_from_file(small_config(folder, iterations)).folder
