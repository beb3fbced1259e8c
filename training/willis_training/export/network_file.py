"""From torch to one ONNX file, of a fixed shape or of any."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from willis_models.manifest import sha256_of
from willis_training.export.parity import (
    ExportDrift,
    Floats,
    compare_runs,
    onnx_run,
    torch_run,
)

OPSET = 20
INPUT, OUTPUT = "image", "probabilities"
SPATIAL_AXES: Mapping[int, str] = {2: "z", 3: "y", 4: "x"}
"""For ``dynamic_axes``: any size that the network's own levels can halve."""

_ONE_SIZE = "This network only works on one size: export it without free axes"


class Probabilities(nn.Module):
    """A network that gives logits, followed by softmax over the classes: what a bundle holds."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(b, c, z, y, x) to probabilities (b, classes, z, y, x)."""
        logits: torch.Tensor = self.network(image)
        return logits.softmax(dim=1)


@dataclass(frozen=True)
class ExportReport:
    """One exported file. ``shape`` is (b, c, z, y, x); an axis by name takes any size."""

    path: Path
    shape: tuple[int | str, ...]
    opset: int
    size_bytes: int
    sha256: str
    seconds: float


def export_onnx(
    network: nn.Module,
    example: Floats,
    path: Path,
    dynamic_axes: Mapping[int, str] | None = None,
) -> ExportReport:
    """Write the network as one file, weights inside, for inputs like ``example`` (b, c, z, y, x).

    ``dynamic_axes`` names the axes whose size is free. Fixed shapes are the rule: runtimes plan
    their memory for them. Raises ExportDrift where a network can't be written like that.
    """
    start = time.perf_counter()
    dynamic = dict(dynamic_axes or {})
    # torch's type hints leave memory_format out.
    contiguous = network.eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    program = torch.onnx.export(
        contiguous,
        (torch.from_numpy(example),),
        input_names=[INPUT],
        output_names=[OUTPUT],
        opset_version=OPSET,
        # AUTO finds relations such as "a multiple of 8" by itself.
        dynamic_shapes=({axis: torch.export.Dim.AUTO for axis in dynamic},) if dynamic else None,
        dynamo=True,
        verbose=False,
    )
    if program is None:
        raise ExportDrift("torch.onnx.export gave no program.")
    path.parent.mkdir(parents=True, exist_ok=True)
    program.save(path, external_data=False)
    shape = _tidy(path, dynamic)
    if dynamic:
        _prove_free(network, path, example, max(dynamic))
    size = path.stat().st_size
    return ExportReport(path, shape, OPSET, size, sha256_of(path), time.perf_counter() - start)


def _tidy(path: Path, dynamic: Mapping[int, str]) -> tuple[int | str, ...]:
    """Drop the exporter's notes, name the free axes; the shape of the input."""
    model = onnx.load(path)
    _forget_the_machine(model)
    (image,), (answer,) = model.graph.input, model.graph.output
    shape: list[int | str] = []
    for axis, found in enumerate(image.type.tensor_type.shape.dim):
        name = dynamic.get(axis)
        if name is None:
            shape.append(int(found.dim_value))
        elif found.dim_value:
            raise ExportDrift(f"{_ONE_SIZE} (the axis {name} is {found.dim_value}).")
        else:
            # The name is a label for readers; the relations between axes are in the nodes.
            found.dim_param = name
            answer.type.tensor_type.shape.dim[axis].dim_param = name
            shape.append(name)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return tuple(shape)


def _prove_free(network: nn.Module, path: Path, example: Floats, axis: int) -> None:
    """Run one free axis at twice its size: torch's tracer may lose that it is fixed after all."""
    twice = np.repeat(example, 2, axis=axis)[0]
    try:
        parity = compare_runs(torch_run(network), onnx_run(path), [twice])
    except Exception as error:  # whatever torch or the runtime raise where sizes do not fit
        raise ExportDrift(f"{_ONE_SIZE} ({type(error).__name__}).") from error
    parity.check()


def _forget_the_machine(model: onnx.ModelProto) -> None:
    """Stack traces name the folders of whoever exported."""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    for item in (*model.graph.node, *model.graph.value_info, *model.graph.initializer):
        del item.metadata_props[:]
        item.doc_string = ""
    for item in (*model.graph.input, *model.graph.output):
        del item.metadata_props[:]
