"""How the infarct network is trained: its size, its loss, its augmentation, which cases do what."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from willis_models.manifest import Manifest
from willis_models.pipelines.infarct.prepare import channel_count
from willis_training.fitting.config import (
    AugmentationConfig,
    DataConfig,
    HardwareConfig,
    LeftOut,
    OptimiserConfig,
    RunConfig,
    ScheduleConfig,
)
from willis_training.infarct.contract import GRID_SHAPE, draft_manifest
from willis_training.infarct.places import RUNS, STORE
from willis_training.losses import LossConfig
from willis_training.networks.build import NetworkConfig

NetworkName = Literal["baseline", "better"]

CHOOSING = 18
"""Validation cases that choose the best weights, by number; later ones calibrate."""

CLASSES = 2
NETWORKS: Mapping[str, dict[str, Any]] = {
    # The seed: MONAI's U-Net as it comes.
    "baseline": {"kind": "monai_unet", "widths": (16, 32, 64, 128), "residual_units": 1},
    "better": {"kind": "unet_se", "widths": (12, 24, 48, 96)},
}
LOSSES = {
    "BCE": LossConfig(name="bce"),
    "Dice": LossConfig(name="dice"),
    "Dice + CE": LossConfig(name="dice_ce"),
    "Tversky": LossConfig(name="tversky", alpha=0.3, beta=0.7),
}
MISSING_SHARE: Mapping[str, float] = {"cbv": 0.1, "mtt": 0.1, "ncct": 0.3, "cta": 0.4}
"""How often each input that may be missing is left out of a training sample."""


def missing_inputs(manifest: Manifest) -> tuple[LeftOut, ...]:
    """The inputs that may be missing: their channel and its flag, as ``prepare`` orders them."""
    first_flag = len(manifest.inputs) + 1
    optional = [(n, spec.role) for n, spec in enumerate(manifest.inputs) if not spec.required]
    return tuple(
        LeftOut(channels=(channel, first_flag + n), share=MISSING_SHARE[role])
        for n, (channel, role) in enumerate(optional)
    )


AUGMENTATION = AugmentationConfig(
    # Patients lie and differ; left and right mean nothing to an infarct.
    linear_sd=0.03,
    shift_sd=0.04,
    warp_sd=0.02,
    flip_axes=(2,),
    # The service has whatever the hospital sent.
    left_out=missing_inputs(draft_manifest()),
)


def run_config(
    name: str,
    train: tuple[str, ...],
    validation: tuple[str, ...],
    *,
    store: Path = STORE,
    runs: Path = RUNS,
    network: NetworkName = "better",
    loss: str = "Dice + CE",
    iterations: int = 1200,
    batch: int = 2,
    validate_every: int = 100,
    threads: int | None = 1,
) -> RunConfig:
    """One run on whole cases of a store. ``loss`` is a key of `LOSSES`."""
    return RunConfig(
        folder=runs / name,
        name=name,
        iterations=iterations,
        batch=batch,
        validate_every=min(validate_every, iterations),
        overlap=0.0,
        ema=0.99,
        data=DataConfig(
            store=store, train=train, validation=validation, foreground_share=0.0, margin=0.0
        ),
        network=NetworkConfig(
            in_channels=channel_count(draft_manifest()),
            classes=CLASSES,
            patch=GRID_SHAPE,
            **NETWORKS[network],
        ),
        loss=LOSSES[loss],
        optimiser=OptimiserConfig(learning_rate=2e-3),
        schedule=ScheduleConfig(warm_up=min(50, iterations // 5)),
        augmentation=AUGMENTATION,
        hardware=HardwareConfig(threads=threads, devices=1, accelerator="cpu"),
    )
