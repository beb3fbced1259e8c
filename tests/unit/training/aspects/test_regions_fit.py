"""The region network trains through the common loop, and its weights serve as they did before."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.unit.training.aspects.tiny_cases import INTENSITY, SHAPE, fill
from willis_training.aspects.bundle import load_network
from willis_training.aspects.regions_data import CasePool, service_input
from willis_training.aspects.regions_fit import (
    fit_region_network,
    load_region_network,
    predict,
    region_config,
)
from willis_training.fitting.config import ScheduleConfig
from willis_training.fitting.listener import Lines
from willis_training.fitting.result import FitResult, plan_of
from willis_training.metrics import dice_by_class
from willis_training.networks.unet import RegionUNet, UNetShape


@pytest.fixture(scope="module")
def pools(tmp_path_factory: pytest.TempPathFactory) -> tuple[CasePool, CasePool]:
    folder = fill(tmp_path_factory.mktemp("cases"), ("head_01", "head_07"))
    return CasePool(folder, ("head_01",)), CasePool(folder, ("head_07",))


def fit(folder: Path, pools: tuple[CasePool, CasePool], iterations: int = 2) -> FitResult:
    config = region_config(folder, iterations, widths=(4, 8), grid_shape=SHAPE)
    return fit_region_network(config, *pools, INTENSITY, Lines())


def untrained() -> RegionUNet:
    torch.manual_seed(0)
    return RegionUNet(UNetShape(1, 11, (4, 8))).eval()


def test_training_lowers_the_loss_and_judges_twenty_regions(
    tmp_path: Path, pools: tuple[CasePool, CasePool]
) -> None:
    short = region_config(tmp_path, 40, widths=(4, 8), grid_shape=SHAPE)
    soon = {"validate_every": 20, "schedule": ScheduleConfig(warm_up=5)}
    config = short.model_copy(update=soon)

    result = fit_region_network(config, *pools, INTENSITY)

    assert result.history[-1].loss < result.history[0].loss - 0.1
    assert len(result.history[-1].dice) == 20
    assert plan_of(tmp_path)["network"]["widths"] == [4, 8]
    log = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log] == [20, 40]


def test_the_same_cases_and_seed_give_the_same_weights(
    tmp_path: Path, pools: tuple[CasePool, CasePool]
) -> None:
    first, again = (fit(tmp_path / name, pools) for name in ("first", "again"))

    assert first.weights_sha256 == again.weights_sha256
    assert first.data_digest == again.data_digest


def test_the_validation_dice_is_that_of_the_labels_that_predict_gives(
    tmp_path: Path, pools: tuple[CasePool, CasePool]
) -> None:
    result = fit(tmp_path, pools)
    network = load_region_network(result.best_weights)

    rows = [
        dice_by_class(predict(network, service_input(case, INTENSITY)), case.regions, range(1, 21))
        for case in pools[1]
    ]

    held = [value for value in result.history[-1].dice.values()]
    np.testing.assert_allclose(np.nanmean(rows, axis=0), held, atol=1e-6)


def test_stored_weights_tell_the_networks_widths(tmp_path: Path) -> None:
    torch.save(untrained().state_dict(), tmp_path / "best.pt")

    network = load_network(tmp_path)

    assert not network.training
    image = torch.rand(1, 1, 8, 16, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(network.hemisphere(image), untrained()(image))


def test_predicted_labels_lie_on_their_own_side() -> None:
    image = np.random.default_rng(0).random((8, 16, 32), dtype=np.float32)

    labels = predict(untrained(), image)

    assert labels[..., :16].max() > 10 or not labels[..., :16].any()
    assert not ((labels[..., :16] > 0) & (labels[..., :16] <= 10)).any()
    assert not (labels[..., 16:] > 10).any()
