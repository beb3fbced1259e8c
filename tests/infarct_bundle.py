"""A bundle of the infarct pipeline without training: what is later than 6 s is the infarct."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from willis_models.manifest import Manifest, sha256_of
from willis_models.pipelines.infarct.prepare import channel_count
from willis_models.runtime.session import sparse
from willis_training.infarct.contract import draft_manifest

NAME, VERSION = "infarct", "0.0.1"
SLOPE = 40.0
LATE_S = 6.0


def write_infarct_bundle(root: Path, version: str = VERSION) -> Path:
    """Write ``root/infarct/<version>`` and return ``root``."""
    folder = root / NAME / version
    folder.mkdir(parents=True)
    manifest = draft_manifest(version=version)
    weights = tmax_weights(manifest)
    onnx.save(_network(weights), folder / "model.onnx")
    image = np.random.default_rng(0).random((len(weights), 8, 8, 8)).astype(np.float16)
    golden = sparse(answer(image.astype(np.float32), weights))
    np.savez_compressed(folder / "golden.npz", input=image, output=golden)
    np.savez_compressed(folder / "assets.npz", nothing=np.zeros(1))
    names = ("model.onnx", "golden.npz", "assets.npz")
    digests = {name: sha256_of(folder / name) for name in names}
    document = manifest.model_copy(update={"files_sha256": digests})
    (folder / "manifest.json").write_text(json.dumps(document.model_dump(mode="json"), indent=1))
    return root


def answer(image: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """What the network says to an input (channels, z, y, x), by hand."""
    logit = np.tensordot(weights, image, axes=1) - SLOPE * _late_scaled(draft_manifest())
    infarct = 1 / (1 + np.exp(-logit))
    return np.stack([1 - infarct, infarct]).astype(np.float32)


def _late_scaled(manifest: Manifest) -> float:
    tmax = next(spec.intensity for spec in manifest.inputs if spec.role == "tmax")
    return (LATE_S - tmax.low) / (tmax.high - tmax.low)


def tmax_weights(manifest: Manifest) -> np.ndarray:
    """The network looks at the Tmax channel alone."""
    weights = np.zeros(channel_count(manifest), np.float32)
    weights[[spec.role for spec in manifest.inputs].index("tmax")] = SLOPE
    return weights


def _network(weights: np.ndarray) -> onnx.ModelProto:
    """Softmax of (0, slope * (Tmax - 6 s))."""
    kernel = np.stack([np.zeros_like(weights), weights]).reshape(2, -1, 1, 1, 1)
    bias = np.array([0.0, -SLOPE * _late_scaled(draft_manifest())], np.float32)
    size = ["z", "y", "x"]
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "kernel", "bias"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["classes"], axis=1),
        ],
        "late",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, len(weights), *size])],
        [helper.make_tensor_value_info("classes", TensorProto.FLOAT, [1, 2, *size])],
        [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(bias, "bias")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
