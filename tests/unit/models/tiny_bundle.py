"""A bundle with a network of two weights, written with the onnx package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from willis_models.manifest import sha256_of

SHAPE = (8, 8, 8)


def manifest_document(**changes: Any) -> dict[str, Any]:
    """A complete manifest of a toy model."""
    affine = [[0, 0, 2.0, -7.0], [0, 2.0, 0, -7.0], [2.0, 0, 0, -7.0], [0, 0, 0, 1.0]]
    return {
        "schema_version": "1.0",
        "name": "tiny",
        "version": "0.1.0",
        "pipeline": "tiny",
        "created": "2026-01-01T00:00:00Z",
        "inputs": [
            {
                "role": "ncct",
                "unit": "[hnsf'U]",
                "shape": list(SHAPE),
                "affine_lps": affine,
                "intensity": {"low": 0.0, "high": 80.0},
            }
        ],
        "outputs": [],
        "parameters": {},
        "thresholds": {},
        "files_sha256": {},
        "learnt_from": [],
        "training": {},
        "evaluation": {},
        "limits": ["Tiny."],
        **changes,
    }


def write_network(path: Path, weight: float = 4.0) -> None:
    """Two classes: softmax of (0, weight * image - 1)."""
    kernel = np.array([0.0, weight], dtype=np.float32).reshape(2, 1, 1, 1, 1)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "kernel", "bias"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        ],
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, *SHAPE])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, 2, *SHAPE])],
        [
            numpy_helper.from_array(kernel, "kernel"),
            numpy_helper.from_array(np.array([0.0, -1.0], dtype=np.float32), "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def image() -> np.ndarray:
    """An input for the network, (1, z, y, x)."""
    return np.random.default_rng(0).random((1, *SHAPE)).astype(np.float16).astype(np.float32)


def answer(weight: float = 4.0) -> np.ndarray:
    """What the network must give for ``image()``, by hand."""
    foreground = 1 / (1 + np.exp(-(weight * image()[0] - 1)))
    return np.stack([1 - foreground, foreground])


def write_bundle(root: Path, version: str = "0.1.0", **changes: Any) -> Path:
    """A whole bundle ``root/tiny/<version>``; ``changes`` go into its manifest."""
    folder = root / "tiny" / version
    folder.mkdir(parents=True)
    write_network(folder / "model.onnx")
    np.savez_compressed(folder / "assets.npz", atlas=np.arange(8, dtype=np.uint8))
    golden = answer()[:, ::4, ::4, ::4].astype(np.float32)
    np.savez_compressed(folder / "golden.npz", input=image().astype(np.float16), output=golden)
    write_manifest(folder, version=version, **changes)
    return folder


def write_manifest(folder: Path, **changes: Any) -> None:
    """The manifest with the digests of the files as they are now."""
    names = ("model.onnx", "assets.npz", "golden.npz")
    digests = {name: sha256_of(folder / name) for name in names if (folder / name).exists()}
    document = manifest_document(**{"files_sha256": digests, **changes})
    (folder / "manifest.json").write_text(json.dumps(document))
