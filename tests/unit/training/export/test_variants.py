"""fp16 behind the gate, and the same file on OpenVINO."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from tests.unit.models.tiny_bundle import image, write_network
from willis_training.export.half import half_precision
from willis_training.export.openvino_check import check_openvino


@pytest.fixture
def model(tmp_path: Path) -> Path:
    write_network(tmp_path / "model.onnx", weight=4.3)
    return tmp_path / "model.onnx"


def test_a_half_precision_variant_that_agrees_is_kept(model: Path) -> None:
    report = half_precision(model, model.with_name("half.onnx"), [image()])

    assert report.path is not None and report.path.is_file()
    assert report.parity.passes and report.parity.largest_difference > 0
    kinds = {tensor.data_type for tensor in onnx.load(report.path).graph.initializer}
    assert kinds == {TensorProto.FLOAT16}


def test_it_takes_and_gives_single_precision(model: Path) -> None:
    report = half_precision(model, model.with_name("half.onnx"), [image()])

    graph = onnx.load(report.path).graph
    kinds = {value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)}
    assert kinds == {TensorProto.FLOAT}


def test_a_half_precision_variant_that_drifts_is_not_kept(tmp_path: Path) -> None:
    # A boundary so steep that the eleven bits of the input decide on which side a voxel lies.
    write_network(tmp_path / "steep.onnx", weight=30_000.0)
    fine = np.full((1, 8, 8, 8), 1 / 30_000.0, np.float32)
    fine *= np.random.default_rng(0).uniform(0.9, 1.1, fine.shape).astype(np.float32)

    report = half_precision(tmp_path / "steep.onnx", tmp_path / "half.onnx", [fine])

    assert report.path is None
    assert not report.parity.passes
    assert not (tmp_path / "half.onnx").exists()


def test_openvino_gives_the_same_and_is_timed(model: Path) -> None:
    check = check_openvino(model, [image()], runs=2)

    assert check.parity.passes and check.parity.largest_difference < 1e-5
    assert check.onnxruntime_s > 0 and check.openvino_s > 0
