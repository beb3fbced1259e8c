"""Training of the region network: it resumes without a trace and keeps the best weights."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.unit.training.aspects.tiny_cases import INTENSITY, fill
from willis_training.aspects.regions_data import CasePool
from willis_training.aspects.regions_fit import FitPlan, fit, predict, validate
from willis_training.networks.unet import RegionUNet, UNetShape

PLAN = FitPlan(widths=(4, 8), iterations=6, warm_up=2, validate_every=3)


@pytest.fixture(scope="module")
def pools(tmp_path_factory: pytest.TempPathFactory) -> tuple[CasePool, CasePool]:
    folder = fill(tmp_path_factory.mktemp("cases"), ("head_01", "head_07"))
    return CasePool(folder, ("head_01",)), CasePool(folder, ("head_07",))


def stored(folder: Path) -> dict[str, object]:
    return torch.load(folder / "last.pt", weights_only=True)


def test_a_run_that_was_interrupted_ends_as_the_unbroken_one_bit_for_bit(
    tmp_path: Path, pools: tuple[CasePool, CasePool]
) -> None:
    unbroken, resumed = tmp_path / "unbroken", tmp_path / "resumed"

    def keep_checkpoint_of_step_3(line: str) -> None:
        if line.startswith("step 6 "):
            resumed.mkdir()
            shutil.copy(unbroken / "last.pt", resumed)

    fit(PLAN, *pools, INTENSITY, unbroken, keep_checkpoint_of_step_3)
    assert stored(resumed)["step"] == 3
    said: list[str] = []
    fit(PLAN, *pools, INTENSITY, resumed, said.append)

    assert [line.split()[1] for line in said] == ["6"]
    for part in ("network", "average"):
        first, second = stored(unbroken)[part], stored(resumed)[part]
        assert all(torch.equal(first[name], second[name]) for name in first)
    one, other = (stored(folder)["optimiser"]["state"] for folder in (unbroken, resumed))
    assert all(torch.equal(one[n]["exp_avg"], other[n]["exp_avg"]) for n in one)


def test_a_finished_run_is_not_trained_again(
    tmp_path: Path, pools: tuple[CasePool, CasePool]
) -> None:
    fit(PLAN, *pools, INTENSITY, tmp_path, lambda line: None)
    said: list[str] = []

    path = fit(PLAN, *pools, INTENSITY, tmp_path, said.append)

    assert said == []
    assert path == tmp_path / "best.pt"


def test_training_leaves_its_plan_its_log_and_its_best_weights(
    tmp_path: Path, pools: tuple[CasePool, CasePool]
) -> None:
    best = fit(PLAN, *pools, INTENSITY, tmp_path, lambda line: None)

    assert json.loads((tmp_path / "plan.json").read_text())["widths"] == [4, 8]
    log = [json.loads(line) for line in (tmp_path / "validation.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log] == [3, 6]
    assert all(len(entry["dice"]) == 20 for entry in log)
    network = RegionUNet(UNetShape(1, 11, (4, 8)))
    network.load_state_dict(torch.load(best, weights_only=True))
    assert not list(tmp_path.glob("*.part"))


def test_training_lowers_the_loss(tmp_path: Path, pools: tuple[CasePool, CasePool]) -> None:
    plan = FitPlan(widths=(4, 8), iterations=40, warm_up=5, validate_every=10)
    said: list[str] = []

    fit(plan, *pools, INTENSITY, tmp_path, said.append)

    losses = [float(line.split()[3]) for line in said]
    assert losses[-1] < losses[0] - 0.1


def test_validation_gives_a_dice_for_each_of_twenty_regions(
    pools: tuple[CasePool, CasePool],
) -> None:
    torch.manual_seed(0)
    network = RegionUNet(UNetShape(1, 11, (4, 8))).eval()

    dice = validate(network, pools[1], INTENSITY)

    assert dice.shape == (20,)
    assert ((dice >= 0) & (dice <= 1)).all()


def test_predicted_labels_lie_on_their_own_side() -> None:
    torch.manual_seed(0)
    network = RegionUNet(UNetShape(1, 11, (4, 8))).eval()
    image = np.random.default_rng(0).random((8, 16, 32), dtype=np.float32)

    labels = predict(network, image)

    assert labels[..., :16].max() > 10 or not labels[..., :16].any()
    assert not ((labels[..., :16] > 0) & (labels[..., :16] <= 10)).any()
    assert not (labels[..., 16:] > 10).any()


def test_a_run_can_begin_with_the_weights_of_an_earlier_one(
    tmp_path: Path, pools: tuple[CasePool, CasePool]
) -> None:
    earlier = fit(PLAN, *pools, INTENSITY, tmp_path / "earlier", lambda line: None)
    plan = replace(PLAN, iterations=1, learning_rate=0.0, start_from=str(earlier))

    later = fit(plan, *pools, INTENSITY, tmp_path / "later", lambda line: None)

    first, second = (torch.load(path, weights_only=True) for path in (earlier, later))
    assert all(torch.allclose(first[name], second[name]) for name in first)


def test_a_step_can_take_several_samples(tmp_path: Path, pools: tuple[CasePool, CasePool]) -> None:
    lines: list[str] = []

    fit(replace(PLAN, batch=2, iterations=1), *pools, INTENSITY, tmp_path, lines.append)

    assert lines[-1].startswith("step 1 ")
