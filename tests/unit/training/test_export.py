"""Export to ONNX and the gate between torch and ONNX."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from willis_training.export import ExportDrift, Parity, compare, export_onnx
from willis_training.networks.unet import BothSides, RegionUNet, UNetShape

SHAPE = (8, 8, 32)
# torch 2.13 walks over its own deprecated class while it exports.
pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")


@pytest.fixture(scope="module")
def network() -> BothSides:
    torch.manual_seed(0)
    return BothSides(RegionUNet(UNetShape(1, 11, (4, 8)))).eval()


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).random((2, *SHAPE), dtype=np.float32)


@pytest.fixture(scope="module")
def exported(network: BothSides, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "model.onnx"
    export_onnx(network, SHAPE, path)
    return path


def test_the_exported_network_answers_as_the_trained_one(
    network: BothSides, exported: Path, images: np.ndarray
) -> None:
    parity = compare(network, exported, images)

    parity.check()
    assert parity.largest_difference < 1e-4


def test_the_weights_lie_inside_the_one_file(exported: Path) -> None:
    assert [path.name for path in exported.parent.iterdir()] == ["model.onnx"]


def test_the_file_names_no_folder_of_the_machine_that_exported_it(exported: Path) -> None:
    content = exported.read_bytes()

    assert b"site-packages" not in content
    assert b"willis_training" not in content


def test_altered_weights_are_drift(network: BothSides, exported: Path, images: np.ndarray) -> None:
    altered = copy.deepcopy(network)
    with torch.no_grad():
        altered.hemisphere.head.bias[3] += 0.05

    with pytest.raises(ExportDrift, match="drifts"):
        compare(altered, exported, images).check()


@pytest.mark.parametrize(
    "parity",
    [Parity(6e-3, 1.0, 0.0), Parity(0.0, 0.998, 0.0), Parity(0.0, 1.0, 0.003)],
    ids=["probability", "Dice", "volume"],
)
def test_each_figure_alone_closes_the_gate(parity: Parity) -> None:
    with pytest.raises(ExportDrift):
        parity.check()


def test_the_gate_is_open_within_the_limits() -> None:
    Parity(9e-4, 0.9995, 0.001).check()
