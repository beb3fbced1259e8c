"""The gate between two ways to run a network: Dice and volume as well as largest difference."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from willis_models.imaging.overlap import overlap_by_label
from willis_models.runtime.session import open_session

Floats = NDArray[np.float32]
Run = Callable[[Floats], Floats]
"""A network: image (c, z, y, x) to probabilities (classes, z, y, x)."""


@dataclass(frozen=True)
class Limits:
    """The worst figures that count as the same network."""

    difference: float
    dice: float
    volume_change: float


# ONNX Runtime sums the half million voxels of an instance norm in single precision, which moves
# single probabilities at a boundary by 2e-3 (torch: 3e-6 against double precision). Dice and volume
# are the sharp limits.
SAME_LABELS = Limits(5e-3, 0.999, 0.002)
# A network that is unsure, because it was trained for minutes, leaves voxels all but tied: they
# change their label though no probability moves by a thousandth.
SAME_PROBABILITIES = Limits(1e-3, 0.99, 0.01)


class ExportDrift(RuntimeError):
    """The exported network does not give what the trained one gives."""


@dataclass(frozen=True)
class Parity:
    """How far one run is from another: probabilities, Dice of labels, change of a volume.

    Dice and the change of volume (a share of the larger one) are the worst of any label in any
    image; the background counts as a label.
    """

    largest_difference: float
    lowest_dice: float
    largest_volume_change: float

    @property
    def passes(self) -> bool:
        """Whether labels, or else probabilities, are the same; no number is never the same."""
        return any(self._is_within(limits) for limits in (SAME_LABELS, SAME_PROBABILITIES))

    def _is_within(self, limits: Limits) -> bool:
        return (
            self.largest_difference <= limits.difference
            and self.lowest_dice >= limits.dice
            and self.largest_volume_change <= limits.volume_change
        )

    def check(self) -> None:
        """Raise ExportDrift where any figure is beyond its limit."""
        if not self.passes:
            raise ExportDrift(f"ONNX drifts from torch: {self}.")


def check_parity(network: nn.Module, path: Path, images: Iterable[Floats]) -> Parity:
    """Parity of an ONNX file with the network in torch over images (c, z, y, x).

    Raises ExportDrift beyond the limits.
    """
    parity = compare_runs(torch_run(network), onnx_run(path), images)
    parity.check()
    return parity


def compare(network: nn.Module, path: Path, images: Iterable[Floats]) -> Parity:
    """Parity over prepared images of one channel (z, y, x), without judging it."""
    return compare_runs(torch_run(network), onnx_run(path), (image[None] for image in images))


def compare_runs(expected: Run, found: Run, images: Iterable[Floats]) -> Parity:
    """The worst figures over all images. Raises ValueError without any image."""
    figures = [_agreement(expected(image), found(image)) for image in images]
    if not figures:
        raise ValueError("Parity needs at least one image.")
    differences, dices, changes = zip(*figures, strict=True)
    # numpy's: NaN stays NaN, where min and max of Python may lose it.
    worst = float(np.max(differences)), float(np.min(dices)), float(np.max(changes))
    return Parity(*worst)


def torch_run(network: nn.Module) -> Run:
    """The network in torch, on the device where it lies."""
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    network.eval()

    def run(image: Floats) -> Floats:
        with torch.inference_mode():
            found: Floats = network(torch.from_numpy(image[None]).to(device))[0].cpu().numpy()
        return found

    return run


def onnx_run(path: Path, threads: int = 0) -> Run:
    """An ONNX file on ONNX Runtime's CPU provider."""
    session = open_session(path, threads=threads)

    def run(image: Floats) -> Floats:
        return np.asarray(session.run(None, {"image": image[None]})[0][0], dtype=np.float32)

    return run


def save_parity(parity: Parity, path: Path) -> None:
    """Keep the figures beside the exported file; publication asks for them."""
    path.write_text(json.dumps(asdict(parity), indent=2) + "\n")


def read_parity(path: Path) -> Parity:
    """The figures that ``save_parity`` kept."""
    return Parity(**json.loads(path.read_text()))


def _agreement(expected: Floats, found: Floats) -> tuple[float, float, float]:
    difference = float(np.abs(found - expected).max())
    # One up: label 0 is not compared, and the background is to be.
    labels = expected.argmax(0) + 1, found.argmax(0) + 1
    overlaps = overlap_by_label(*labels).values()
    dice = min(one.dice for one in overlaps)
    return difference, dice, max(one.volume_change for one in overlaps)
