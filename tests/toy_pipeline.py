"""A tiny pipeline with a tiny network: it cuts a head CT at two densities into two labels.

Real in every part (ONNX network, bundle with digests and golden vectors, pure functions), so that
the service can be tested without a clinical model. ``slow_pipelines`` takes its time.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from willis_models.codes import ASPECTS_STRUCTURES
from willis_models.findings import Findings, QualityItem, SegmentFinding
from willis_models.manifest import Manifest
from willis_models.pipelines.base import (
    NOTHING_ASKED,
    Assets,
    Case,
    Interpretation,
    Pipeline,
    Prepared,
    Request,
    Role,
)
from willis_models.runtime.session import GOLDEN_STRIDE, sparse

NAME = "toy"
VERSION = "1.0.0"
BRAIN_ABOVE_HU, DENSE_ABOVE_HU = 10.0, 100.0
SLOW_S = 4.0


def check(case: Case, manifest: Manifest) -> tuple[QualityItem, ...]:
    return (QualityItem(code="TOY_CHECK", outcome="pass", message="A head CT."),)


def prepare(
    case: Case, manifest: Manifest, assets: Assets, request: Request = NOTHING_ASKED
) -> Prepared:
    return Prepared(case["ncct"].stack.voxels[None].astype(np.float32))


def slow_prepare(
    case: Case, manifest: Manifest, assets: Assets, request: Request = NOTHING_ASKED
) -> Prepared:
    time.sleep(SLOW_S)
    return prepare(case, manifest, assets)


def broken_prepare(
    case: Case, manifest: Manifest, assets: Assets, request: Request = NOTHING_ASKED
) -> Prepared:
    raise ZeroDivisionError("a bug that quotes " + "^".join(("Doe", "Jane")))


def interpret(
    case: Case,
    prepared: Prepared,
    output: NDArray[np.float32],
    manifest: Manifest,
    assets: Assets,
) -> Interpretation:
    labels = output.argmax(axis=0).astype(np.uint8)
    segments = tuple(_segment(number) for number in (1, 2))
    findings = Findings(pipeline=NAME, status="succeeded", segments=segments)
    return Interpretation(findings, labels, "ncct")


def _segment(number: int) -> SegmentFinding:
    key = ("I", "C")[number - 1]
    structure = ASPECTS_STRUCTURES[key]
    return SegmentFinding(
        number=number,
        key=f"toy_{key}",
        label=structure.meaning,
        structure_value=structure.value,
        structure_scheme=structure.scheme,
        structure_meaning=structure.meaning,
        laterality=None,
        state="unaffected",
    )


TOY = Pipeline(
    name=NAME,
    title="Two densities",
    roles=(Role("ncct", "CT", "Non-contrast CT of the head"),),
    check=check,
    prepare=prepare,
    interpret=interpret,
)


def toy_pipelines() -> Mapping[str, Pipeline]:
    return {NAME: TOY}


def slow_pipelines() -> Mapping[str, Pipeline]:
    return {NAME: replace(TOY, prepare=slow_prepare)}


def broken_pipelines() -> Mapping[str, Pipeline]:
    return {NAME: replace(TOY, prepare=broken_prepare)}


def write_toy_bundle(
    root: Path, version: str = VERSION, brain_above_hu: float = BRAIN_ABOVE_HU
) -> Path:
    """Write ``root/toy/<version>`` and return ``root``."""
    folder = root / NAME / version
    folder.mkdir(parents=True)
    onnx.save(_network(brain_above_hu), folder / "model.onnx")
    # Golden vectors keep every fourth voxel: each density is met there.
    image = np.repeat(np.float32([-1000.0, 40.0, 300.0]), GOLDEN_STRIDE).reshape(1, 1, 1, -1)
    np.savez(folder / "golden.npz", input=image, output=sparse(_expected(image, brain_above_hu)))
    np.savez(folder / "assets.npz", nothing=np.zeros(1))
    names = ("model.onnx", "golden.npz", "assets.npz")
    digests = {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in names}
    (folder / "manifest.json").write_text(json.dumps(_manifest(version, digests)))
    return root


def _network(brain_above_hu: float) -> onnx.ModelProto:
    """Class scores of air, brain and bone: the class whose centre is nearest wins."""
    centres, offsets = _centres(brain_above_hu)
    nodes = [
        helper.make_node("Mul", ["image", "centres"], ["scaled"]),
        helper.make_node("Sub", ["scaled", "offsets"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["classes"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, "z", "y", "x"])],
        [helper.make_tensor_value_info("classes", TensorProto.FLOAT, [1, 3, "z", "y", "x"])],
        [
            helper.make_tensor("centres", TensorProto.FLOAT, [1, 3, 1, 1, 1], centres),
            helper.make_tensor("offsets", TensorProto.FLOAT, [1, 3, 1, 1, 1], offsets),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def _centres(brain_above_hu: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Linear scores whose largest changes exactly at the two densities."""
    slopes = np.array([0.0, 1.0, 2.0], dtype=np.float32)
    steps = np.array([0.0, brain_above_hu, brain_above_hu + DENSE_ABOVE_HU], dtype=np.float32)
    return slopes, steps


def _expected(image: NDArray[np.float32], brain_above_hu: float) -> NDArray[np.float32]:
    slopes, steps = _centres(brain_above_hu)
    scores = image * slopes[:, None, None, None] - steps[:, None, None, None]
    powers = np.exp(scores - scores.max(axis=0))
    return np.asarray(powers / powers.sum(axis=0), dtype=np.float32)


def _manifest(version: str, digests: dict[str, str]) -> dict[str, Any]:
    return {
        "schema_version": "1.0",
        "name": NAME,
        "version": version,
        "pipeline": NAME,
        "created": "2026-01-01",
        "inputs": [],
        "outputs": [],
        "parameters": {},
        "thresholds": {},
        "files_sha256": digests,
        "learnt_from": [],
        "training": {},
        "evaluation": {},
        "limits": ["Made for tests."],
    }
