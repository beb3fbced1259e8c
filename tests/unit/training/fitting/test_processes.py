"""Two processes learn what one learns: gradients shared (DDP), or weights sharded (FSDP2).

Both run in the same pair of CPU processes, joined by gloo; a GPU pair differs in the backend alone.
"""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import pytest
import torch

from tests.unit.training.fitting.toy_store import TRAIN, VALIDATION, toy_run, toy_store
from willis_training.fitting.config import RunConfig
from willis_training.fitting.fit import fit
from willis_training.fitting.launching import launch
from willis_training.fitting.lesson import StoredLesson
from willis_training.fitting.listener import Lines, Listener
from willis_training.fitting.loop import train_here
from willis_training.fitting.result import read_result
from willis_training.fitting.samples import CaseStore

STRATEGIES = ("ddp", "fsdp")
# Cross-entropy adds up over samples, so that two halves of a batch are the whole.
CHANGES = {
    "batch": 4,
    "at_once": 1,
    "loss": {"name": "ce"},
    "iterations": 4,
    "validate_every": 2,
    "network": {"gradient_checkpointing": True},
}


def config_of(root: Path, name: str, **hardware: object) -> RunConfig:
    return toy_run(root / name, **CHANGES, hardware=hardware)


def both_strategies(root: Path, listener: Listener) -> None:
    """What each of the two processes does; a copy of the run is kept after two steps."""
    for name in STRATEGIES:
        config = config_of(root, name, devices=2, strategy=name)
        lesson = StoredLesson(CaseStore(root / "store"), TRAIN, VALIDATION, config)

        def note(line: str, folder: Path = config.folder) -> None:
            if line.startswith("step 2 "):
                shutil.copytree(folder, folder.with_name(f"{folder.name}_stopped"))
            listener.line(line)

        is_first = not isinstance(listener, Lines)
        train_here(config, lesson, Lines(note) if is_first else listener)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A run of one process, and both strategies in two; what they said."""
    root = tmp_path_factory.mktemp("processes")
    store, said = toy_store(root / "store"), []
    fit(config_of(root, "one"), TRAIN, VALIDATION, store)
    launch(partial(both_strategies, root), 2, Lines(said.append))
    return root, said


def weights(root: Path, name: str, part: str = "network") -> dict[str, torch.Tensor]:
    return torch.load(root / name / "last.pt", weights_only=True)[part]


def close(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    assert first.keys() == second.keys()
    return all(torch.allclose(first[k], second[k], atol=1e-4) for k in first)


@pytest.mark.parametrize("name", STRATEGIES)
def test_two_processes_end_with_the_weights_of_one(
    finished: tuple[Path, list[str]], name: str
) -> None:
    root, _ = finished

    assert close(weights(root, "one"), weights(root, name))
    assert close(weights(root, "one", "average"), weights(root, name, "average"))
    alone, together = read_result(root / "one"), read_result(root / name)
    assert together.processes == 2
    assert together.data_digest == alone.data_digest
    assert together.history[-1].loss == pytest.approx(alone.history[-1].loss, abs=1e-4)
    assert together.best_dice == pytest.approx(alone.best_dice, abs=0.02)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_run_of_two_processes_goes_on_in_one(
    finished: tuple[Path, list[str]], tmp_path: Path, name: str
) -> None:
    root, _ = finished
    shutil.copytree(root / f"{name}_stopped", tmp_path / "resumed")
    assert torch.load(tmp_path / "resumed" / "last.pt", weights_only=True)["step"] == 2

    fit(config_of(tmp_path, "resumed"), TRAIN, VALIDATION, CaseStore(root / "store"))

    assert close(weights(root, name), weights(tmp_path, "resumed"))


def test_only_the_first_process_is_heard(finished: tuple[Path, list[str]]) -> None:
    _, said = finished

    assert [line.split()[1] for line in said if line.startswith("step")] == ["2", "4", "2", "4"]
