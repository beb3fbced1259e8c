"""The region network's run: its configuration, and its training by the common loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from willis_models.manifest import IntensityTransform
from willis_training.aspects import recipe
from willis_training.aspects.regions_data import REGIONS, CasePool, RegionLesson, both_sides
from willis_training.fitting.config import (
    AugmentationConfig,
    HardwareConfig,
    OptimiserConfig,
    RunConfig,
    ScheduleConfig,
)
from willis_training.fitting.listener import Listener
from willis_training.fitting.loop import train
from willis_training.fitting.result import FitResult
from willis_training.losses import LossConfig
from willis_training.networks.build import NetworkConfig
from willis_training.networks.unet import RegionUNet, UNetShape, left_half

AUGMENTATION = AugmentationConfig(
    # What registration leaves: small misplacements and a smooth warp.
    linear_sd=0.025,
    shift_sd=0.025,
    warp_sd=0.022,
    # Another scanner's contrast, offset and noise.
    contrast=0.15,
    offset_sd=0.03,
    noise=0.03,
    zero_is_background=True,
    clip=(0.0, 1.0),
)


def region_config(
    folder: Path,
    iterations: int = 4000,
    threads: int | None = None,
    start_from: Path | None = None,
    widths: tuple[int, ...] = (16, 32, 64, 128),
    grid_shape: tuple[int, int, int] = recipe.GRID_SHAPE,
) -> RunConfig:
    """The run that makes the region network; ``iterations`` fixes the learning-rate schedule."""
    hemisphere = left_half(torch.empty(grid_shape)).shape
    return RunConfig(
        folder=folder,
        name="aspects regions",
        iterations=iterations,
        batch=1,
        validate_every=min(250, iterations),
        start_from=start_from,
        network=NetworkConfig(
            kind="unet_se", classes=1 + REGIONS, widths=widths, patch=(*hemisphere,)
        ),
        loss=LossConfig(name="present_dice_ce"),
        optimiser=OptimiserConfig(learning_rate=3e-3),
        schedule=ScheduleConfig(warm_up=100),
        augmentation=AUGMENTATION,
        hardware=HardwareConfig(threads=threads),
    )


def fit_region_network(
    config: RunConfig,
    training: CasePool,
    validation: CasePool,
    intensity: IntensityTransform,
    listener: Listener | None = None,
) -> FitResult:
    """Train until ``config.iterations``, resuming from its folder."""
    return train(config, RegionLesson(training, validation, intensity, config), listener)


def load_region_network(path: Path) -> RegionUNet:
    """The network of a weights file; its widths are read from the weights themselves."""
    weights: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    widths: list[int] = []
    while (name := f"encoder.{len(widths)}.body.0.weight") in weights:
        widths.append(weights[name].shape[0])
    network = RegionUNet(UNetShape(1, 1 + REGIONS, tuple(widths)))
    network.load_state_dict(weights)
    return network.eval()


def predict(network: nn.Module, image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Labels (z, y, x), 0-20, for a prepared image (z, y, x)."""
    labels = both_sides(network, image[None]).argmax(0).to(torch.uint8)
    found: NDArray[np.uint8] = labels.cpu().numpy()
    return found
