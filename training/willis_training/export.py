"""From torch to ONNX, and the gate between them: Dice and volume as well as largest difference."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from willis_models.runtime.session import open_session

OPSET = 20
# ONNX Runtime sums the half million voxels of an instance norm in single precision, which moves
# single probabilities at a boundary by 2e-3 (torch: 3e-6 against double precision). Dice and volume
# are the sharp limits.
MAX_DIFFERENCE = 5e-3
MIN_DICE = 0.999
MAX_VOLUME_CHANGE = 0.002


class ExportDrift(RuntimeError):
    """The exported network does not give what the trained one gives."""


@dataclass(frozen=True)
class Parity:
    """How far ONNX is from torch: probabilities, Dice of labels, change of any label's volume."""

    largest_difference: float
    lowest_dice: float
    largest_volume_change: float

    def check(self) -> None:
        """Raise ExportDrift where any figure is beyond its limit."""
        if (
            self.largest_difference > MAX_DIFFERENCE
            or self.lowest_dice < MIN_DICE
            or self.largest_volume_change > MAX_VOLUME_CHANGE
        ):
            raise ExportDrift(f"ONNX drifts from torch: {self}.")


def export_onnx(network: nn.Module, shape: tuple[int, int, int], path: Path) -> None:
    """Write the network for inputs (1, 1, z, y, x) of a fixed shape, weights inside the file."""
    example = (torch.zeros(1, 1, *shape),)
    # torch's type hints leave memory_format out.
    contiguous = network.eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    program = torch.onnx.export(
        contiguous,
        example,
        input_names=["image"],
        output_names=["probabilities"],
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    if program is None:
        raise ExportDrift("torch.onnx.export gave no program.")
    program.save(path, external_data=False)
    _forget_the_machine(path)


def _forget_the_machine(path: Path) -> None:
    """Drop the exporter's notes: stack traces name the folders of whoever exported."""
    model = onnx.load(path)
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    for item in (*model.graph.node, *model.graph.value_info, *model.graph.initializer):
        del item.metadata_props[:]
        item.doc_string = ""
    for item in (*model.graph.input, *model.graph.output):
        del item.metadata_props[:]
    onnx.save(model, path)


def compare(network: nn.Module, path: Path, images: NDArray[np.float32]) -> Parity:
    """Parity over prepared images (n, z, y, x)."""
    session = open_session(path)
    differences, dices, changes = [], [], []
    for image in images:
        with torch.no_grad():
            expected = network(torch.from_numpy(image)[None, None])[0].numpy()
        (found,) = session.run(None, {"image": image[None, None]})
        differences.append(float(np.abs(found[0] - expected).max()))
        dice, change = _label_agreement(expected.argmax(0), found[0].argmax(0))
        dices.append(dice)
        changes.append(change)
    return Parity(max(differences), min(dices), max(changes))


def _label_agreement(a: NDArray[np.int64], b: NDArray[np.int64]) -> tuple[float, float]:
    """Lowest Dice and largest relative change of volume over the labels that either holds."""
    dices, changes = [1.0], [0.0]
    for label in np.union1d(np.unique(a), np.unique(b)):
        first, second = int((a == label).sum()), int((b == label).sum())
        both = int(((a == label) & (b == label)).sum())
        dices.append(2 * both / (first + second))
        changes.append(abs(first - second) / max(first, second))
    return min(dices), max(changes)
