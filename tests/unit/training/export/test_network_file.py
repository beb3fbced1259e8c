"""One file, weights inside, of a fixed shape or of any."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from willis_training.export.network_file import SPATIAL_AXES, Probabilities, export_onnx
from willis_training.export.parity import ExportDrift, check_parity, compare_runs, onnx_run
from willis_training.export.parity import torch_run as in_torch
from willis_training.networks.unet import BothSides, RegionUNet, UNetShape

SHAPE = (8, 8, 32)
EXAMPLE = np.zeros((1, 1, *SHAPE), np.float32)
# torch 2.13 walks over its own deprecated class while it exports.
pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")


@pytest.fixture(scope="module")
def network() -> BothSides:
    torch.manual_seed(0)
    return BothSides(RegionUNet(UNetShape(1, 11, (4, 8)))).eval()


@pytest.fixture(scope="module")
def exported(network: BothSides, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "model.onnx"
    export_onnx(network, EXAMPLE, path)
    return path


def images(*shapes: tuple[int, int, int]) -> list[np.ndarray]:
    source = np.random.default_rng(0)
    return [source.random((1, *shape), dtype=np.float32) for shape in shapes]


def test_the_exported_network_answers_as_the_trained_one(
    network: BothSides, exported: Path
) -> None:
    parity = check_parity(network, exported, images(SHAPE, SHAPE))

    assert parity.largest_difference < 1e-4


def test_the_weights_lie_inside_the_one_file(exported: Path) -> None:
    assert [path.name for path in exported.parent.iterdir()] == ["model.onnx"]


def test_the_file_names_no_folder_of_the_machine_that_exported_it(exported: Path) -> None:
    content = exported.read_bytes()

    assert b"site-packages" not in content
    assert b"willis_training" not in content


def test_the_report_describes_the_file(tmp_path: Path) -> None:
    report = export_onnx(nn.Conv3d(1, 2, 1), EXAMPLE, tmp_path / "new" / "model.onnx")

    assert (report.shape, report.size_bytes) == ((1, 1, *SHAPE), report.path.stat().st_size)
    (opset,) = onnx.load(report.path).opset_import
    assert opset.version == report.opset


class OneSizeOnly(nn.Module):
    """Adds a fixed field: works on one shape."""

    def __init__(self) -> None:
        super().__init__()
        self.field = nn.Parameter(torch.zeros(1, 1, *SHAPE))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image + self.field


def test_a_network_of_one_size_can_not_be_exported_for_any(tmp_path: Path) -> None:
    with pytest.raises(ExportDrift, match="only works on one size"):
        export_onnx(OneSizeOnly(), EXAMPLE, tmp_path / "model.onnx", SPATIAL_AXES)


def test_probabilities_are_the_softmax_of_the_logits(tmp_path: Path) -> None:
    logits = nn.Conv3d(1, 3, 1)
    (image,) = images((2, 2, 2))

    found = in_torch(Probabilities(logits))(image)

    assert found.sum(axis=0) == pytest.approx(np.ones((2, 2, 2)))
    assert (found.argmax(0) == in_torch(logits)(image).argmax(0)).all()
    path = export_onnx(Probabilities(logits), image[None], tmp_path / "m.onnx").path
    assert compare_runs(lambda _: found, onnx_run(path), [image]).largest_difference < 1e-6
