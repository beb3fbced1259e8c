"""A finished run's network, and images to hold its exported file against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from willis_training.export.network_file import (
    SPATIAL_AXES,
    ExportReport,
    Probabilities,
    export_onnx,
)
from willis_training.export.parity import Floats, Parity, check_parity, save_parity
from willis_training.fitting.config import RunConfig, read_config
from willis_training.fitting.result import read_result
from willis_training.fitting.samples import CaseStore
from willis_training.networks.build import NetworkConfig, build_network

MODEL, PARITY, GOLDEN = "model.onnx", "parity.json", "golden.npz"


@dataclass(frozen=True)
class ExportedRun:
    """What ``export_run`` wrote: the file, how it does against torch, and the images used."""

    report: ExportReport
    parity: Parity
    images: tuple[Floats, ...]


def load_run(folder: Path) -> tuple[RunConfig, Probabilities]:
    """A run's configuration and its best weights, with softmax, ready for inference.

    Raises FileNotFoundError where the folder is no finished run.
    """
    weights_path = read_result(folder).best_weights
    config = read_config(folder / "run.yaml")
    network = build_network(_plain(config.network))
    network.load_state_dict(torch.load(weights_path, weights_only=True, map_location="cpu"))
    served = Probabilities(network)
    served.eval()
    return config, served


def export_run(
    folder: Path, target: Path, store: CaseStore, cases: Sequence[str], any_size: bool = False
) -> ExportedRun:
    """Write ``model.onnx``, ``parity.json`` and ``golden.npz`` into ``target``.

    The file takes the run's patch, or any size that the network's levels can halve; it is held
    against torch on the prepared ``cases``. Raises ExportDrift, and then no model stays.
    """
    config, network = load_run(folder)
    images = tuple(_fitting(store.read(name).image, config, any_size) for name in cases)
    axes: Mapping[int, str] = SPATIAL_AXES if any_size else {}
    example = np.zeros((1, config.network.in_channels, *config.network.patch), np.float32)
    partial = target / f".{MODEL}.partial"
    try:
        report = export_onnx(network, example, partial, axes)
        parity = check_parity(network, partial, images)
        partial.replace(target / MODEL)
    finally:
        partial.unlink(missing_ok=True)
    save_parity(parity, target / PARITY)
    np.savez_compressed(target / GOLDEN, input=images[0].astype(np.float16))
    return ExportedRun(replace(report, path=target / MODEL), parity, images)


def _plain(config: NetworkConfig) -> NetworkConfig:
    """Without what only the backward pass needs: its wrappers can't be exported."""
    return config.model_copy(update={"gradient_checkpointing": False})


def _fitting(image: Floats, config: RunConfig, any_size: bool) -> Floats:
    """The middle of an image (c, z, y, x) in the run's patch; whole, and padded, where it may be.

    What is added beyond the image is 0.
    """
    factor = config.network.factor
    wanted = [-(-n // factor) * factor for n in image.shape[1:]]
    size = wanted if any_size else list(config.network.patch)
    found = np.zeros((len(image), *size), np.float32)
    kept = [min(a, b) for a, b in zip(size, image.shape[1:], strict=True)]
    first = [(n - k) // 2 for n, k in zip(image.shape[1:], kept, strict=True)]
    window = tuple(slice(a, a + k) for a, k in zip(first, kept, strict=True))
    found[:, : kept[0], : kept[1], : kept[2]] = image[:, *window]
    return found
