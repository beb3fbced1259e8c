"""The fp16 variant of an exported network, kept only where the parity gate lets it through.

Half precision has eleven bits for a number: sums over many voxels, such as those of an instance
norm, and what is close to 0 or 1 after a softmax lose first. These stay in single precision. On a
CPU the variant is half the file and no faster; on a GPU it is faster.

An fp16 network is another network: published, it is a version of its own, with its own digest.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnxconverter_common import float16

from willis_training.export.parity import Floats, Parity, compare_runs, onnx_run

KEPT_SINGLE = (
    "InstanceNormalization",
    "GroupNormalization",
    "LayerNormalization",
    "BatchNormalization",
    "ReduceMean",
    "GlobalAveragePool",
    "Softmax",
)


@dataclass(frozen=True)
class HalfReport:
    """What came of the attempt. ``path`` is None where the variant did not pass and is gone."""

    path: Path | None
    parity: Parity
    size_bytes: int


def half_precision(model: Path, target: Path, images: Iterable[Floats]) -> HalfReport:
    """Write the fp16 variant of ``model`` and hold it against it over images (c, z, y, x).

    Inputs and outputs stay float32, so that whoever runs it need not know.
    """
    onnx.save(_converted(onnx.load(model)), target)
    size = target.stat().st_size
    parity = compare_runs(onnx_run(model), onnx_run(target), images)
    if not parity.passes:
        target.unlink()
    return HalfReport(target if parity.passes else None, parity, size)


def _converted(model: onnx.ModelProto) -> onnx.ModelProto:
    blocked = [*float16.DEFAULT_OP_BLOCK_LIST, *KEPT_SINGLE]
    with warnings.catch_warnings():
        # It reports each weight too small for fp16; the gate says whether that matters.
        warnings.simplefilter("ignore", UserWarning)
        half: onnx.ModelProto = float16.convert_float_to_float16(
            model, keep_io_types=True, op_block_list=blocked, check_fp16_ready=False
        )
    _give_single(half.graph)
    return half


def _give_single(graph: onnx.GraphProto) -> None:
    """What comes from an operation kept single is cast to fp16 at the very end; not here."""
    makers = {name: node for node in graph.node for name in node.output}
    for output in graph.output:
        maker = makers[output.name]
        if (
            output.type.tensor_type.elem_type == onnx.TensorProto.FLOAT16
            and maker.op_type == "Cast"
        ):
            maker.attribute[0].i = onnx.TensorProto.FLOAT
            output.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
