"""Everything that decides a training run, in one frozen value read from one YAML file.

``willis-train fit run.yaml --set optimiser.learning_rate=1e-3`` changes single values. An unknown
key is an error. The full configuration is written into the run's folder as ``run.yaml``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    model_validator,
)

from willis_training.losses import LossConfig
from willis_training.networks.build import NetworkConfig


class Part(BaseModel):
    """A frozen part of the configuration; a misspelt key raises."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DataConfig(Part):
    """Which prepared cases teach and which choose the best weights."""

    store: Path | None = None
    """Folder that ``willis-train prepare`` filled."""
    split: Path | None = None
    """JSON file of folds, as the data set's splits are written."""
    fold: str | None = None
    """Name of the fold in ``split``; the only one may be left out."""
    train: tuple[str, ...] = ()
    """Instead of a split: the cases that teach."""
    validation: tuple[str, ...] = ()
    """Instead of a split: the cases that choose."""
    foreground_share: float = Field(default=0.5, ge=0.0, le=1.0)
    """Share of the patches that are centred on a labelled voxel."""
    margin: float = Field(default=0.15, ge=0.0, le=0.5)
    """Each side of a patch is read wider by this share of it, so that a turned patch is full."""
    memory_mb: PositiveInt = 4000
    """How much of the cases each process keeps in memory."""


class LeftOut(Part):
    """Channels that some samples go without: all of them become 0 together."""

    channels: tuple[NonNegativeInt, ...] = Field(min_length=1)
    """The input's own channel and, where there is one, the channel that says it is there."""
    share: float = Field(ge=0.0, le=1.0)
    """Share of the samples."""


class AugmentationConfig(Part):
    """How far a patch is changed, on the device, after preparation. All zero: not at all.

    Lengths are shares of the patch's half side; angles are taken in voxels, so prepare cases on
    isotropic voxels where ``rotation_deg`` is not small. Intensities are in units of the image.
    """

    rotation_deg: float = 0.0
    """Largest turn about each axis (uniform)."""
    scaling: float = 0.0
    """Largest relative change of size along each axis (uniform)."""
    linear_sd: float = 0.0
    """SD of a normal change of every entry of the linear map: shear, scale and turn at once."""
    shift_sd: float = 0.0
    """SD of the normal displacement along each axis."""
    warp_sd: float = 0.0
    """SD of the smooth, elastic displacement at its nodes."""
    warp_nodes: tuple[int, int, int] = (5, 6, 5)
    """Nodes (z, y, x) of the elastic displacement."""
    flip_axes: tuple[Literal[0, 1, 2], ...] = ()
    """Axes (0 z, 1 y, 2 x) mirrored half the time. Not x where labels know left from right."""
    contrast: float = 0.0
    """Largest relative change of contrast (uniform)."""
    offset_sd: float = 0.0
    """SD of a normal offset."""
    gamma: float = 0.0
    """Largest change of the logarithm of gamma (uniform), for images in [0, 1]."""
    bias_sd: float = 0.0
    """SD of the logarithm of a smooth multiplicative field, at its nodes."""
    noise: float = 0.0
    """Largest SD of white noise (uniform)."""
    noise_share: float = Field(default=0.5, ge=0.0, le=1.0)
    """Share of the samples that get noise."""
    slice_voxels: int = Field(default=1, ge=1)
    """Largest slice thickness simulated along z, in voxels."""
    slice_share: float = Field(default=0.3, ge=0.0, le=1.0)
    """Share of the samples with thick slices."""
    zero_is_background: bool = False
    """Voxels of exactly 0 stay 0: the image is stripped."""
    clip: tuple[float, float] | None = None
    """Range that the changed image is clipped to; the preparation's own range."""
    left_out: tuple[LeftOut, ...] = ()
    """Inputs that may be missing where the network is used, each left out on its own."""


class PaintingConfig(Part):
    """Images painted from label maps on the device, as SynthSeg does (Billot 2023).

    Every tissue of a sample gets a random mean and SD; the case's ``tissues`` where the store has
    them, and always its labels on top. Augmentation follows.
    """

    share: float = Field(default=0.5, ge=0.0, le=1.0)
    """Share of the samples that are painted; the rest show their own image."""
    means: tuple[float, float] = (0.1, 0.9)
    """Range of a tissue's mean (uniform), in units of the image."""
    sds: tuple[float, float] = (0.02, 0.1)
    """Range of a tissue's SD (uniform)."""
    min_contrast: float = Field(default=0.8, ge=0.0)
    """A label's mean stands off the tissue around it by this many of its SDs at least.

    Labels without contrast can't be learnt; drawn independently, half of all lesions are invisible.
    """


class OptimiserConfig(Part):
    """How weights move."""

    name: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: float = Field(default=1e-3, gt=0.0)
    weight_decay: float = Field(default=1e-4, ge=0.0)
    momentum: float = Field(default=0.99, ge=0.0, lt=1.0)
    """sgd only; Nesterov, as nnU-Net."""
    clip_norm: float | None = Field(default=2.0, gt=0.0)
    """Largest norm of the gradient."""


class ScheduleConfig(Part):
    """How the learning rate moves: linear warm-up, then the named decay to ``floor`` of it."""

    name: Literal["cosine", "polynomial", "constant"] = "cosine"
    warm_up: int = Field(default=100, ge=0)
    floor: float = Field(default=0.01, ge=0.0, le=1.0)
    power: float = Field(default=0.9, gt=0.0)
    """polynomial only."""


class EarlyStopping(Part):
    """Stop when the mean validation Dice has not risen by ``min_delta`` for so many validations."""

    patience: PositiveInt = 10
    min_delta: float = Field(default=0.001, ge=0.0)


class HardwareConfig(Part):
    """Where to compute. Nothing here changes what is learnt but for the order of sums."""

    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    devices: PositiveInt | Literal["auto"] = "auto"
    """auto: every GPU, or one process on CPU."""
    nodes: PositiveInt = 1
    strategy: Literal["auto", "ddp", "fsdp"] = "auto"
    """auto: ddp where there are several devices. fsdp shards weights and optimiser (FSDP2)."""
    precision: Literal["bf16", "float32"] = "bf16"
    """bf16: autocast; weights, losses and their sums stay float32."""
    workers: int = Field(default=0, ge=0)
    """Processes a device that read cases; 0 reads between steps."""
    threads: PositiveInt | None = None
    """CPU threads of a process. Another number may change the last bits of the weights."""
    deterministic: bool = True
    """Ask torch for repeatable operations; where a GPU has none for one, torch says so."""


class TrackingConfig(Part):
    """Where curves go beside the run's own files."""

    tensorboard: bool = True
    mlflow: str | None = None
    """Tracking URI of MLflow, for example ``sqlite:///mlflow.db`` or a server's address."""
    experiment: str = "willis"
    pictures: int = Field(default=3, ge=0)
    """Validation cases drawn at each validation that improves."""


class RunConfig(Part):
    """One training run."""

    folder: Path
    """Where checkpoints, curves and results go; a run resumes from its folder."""
    name: str = "run"
    seed: int = Field(default=7, ge=0)
    iterations: PositiveInt = 4000
    """Optimiser steps."""
    batch: PositiveInt = 2
    """Samples of one optimiser step, over all devices together."""
    at_once: PositiveInt | None = None
    """Samples that a device computes at once; fewer than its share of ``batch`` accumulate."""
    validate_every: PositiveInt = 250
    """Optimiser steps from one validation (and checkpoint) to the next."""
    overlap: float = Field(default=0.25, ge=0.0, lt=1.0)
    """Overlap of the sliding windows in validation."""
    ema: float | None = Field(default=0.995, gt=0.0, lt=1.0)
    """Decay of the averaged weights, which are what is validated and kept; none: the last ones."""
    start_from: Path | None = None
    """Weights (best.pt of an earlier run of the same network) to begin with."""
    early_stopping: EarlyStopping | None = None
    data: DataConfig = DataConfig()
    network: NetworkConfig = NetworkConfig()
    loss: LossConfig = LossConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    painting: PaintingConfig | None = None
    hardware: HardwareConfig = HardwareConfig()
    tracking: TrackingConfig = TrackingConfig()

    @model_validator(mode="after")
    def _share_fits(self) -> RunConfig:
        if self.at_once is not None and self.batch % self.at_once:
            raise ValueError(f"batch {self.batch} is not a multiple of at_once {self.at_once}.")
        return self


FREE_TO_CHANGE = frozenset({"folder", "name", "hardware", "tracking", "early_stopping", "at_once"})
"""Parts that may differ when a run resumes."""


def read_config(path: Path, changes: Sequence[str] = ()) -> RunConfig:
    """A run's file with ``key=value`` changes applied; keys are dotted, values are YAML.

    ``folder`` defaults to ``runs/<name of the file>``. Raises ValueError for what does not fit.
    """
    stored = yaml.safe_load(path.read_text()) or {}
    if not isinstance(stored, dict):
        raise ValueError(f"{path} holds no mapping; see `willis-train fit --example`.")
    settings: dict[str, Any] = {"name": path.stem, "folder": f"runs/{path.stem}", **stored}
    for change in changes:
        _apply(settings, change)
    return RunConfig.model_validate(settings)


def _apply(settings: dict[str, Any], change: str) -> None:
    dotted, separator, value = change.partition("=")
    if not separator or not dotted:
        raise ValueError(f"--set {change}: write key=value, for example network.kind=segresnet.")
    *parents, last = dotted.strip().split(".")
    for name in parents:
        inner = {} if settings.get(name) is None else settings[name]
        if not isinstance(inner, dict):
            raise ValueError(f"--set {change}: {name} has no parts.")
        settings[name] = inner
        settings = inner
    settings[last] = _number(yaml.safe_load(value))


def _number(value: Any) -> Any:
    """YAML 1.1 reads ``1e-3``, without a dot, as text."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def write_config(config: RunConfig, path: Path) -> None:
    """The whole configuration, defaults included, as YAML."""
    path.write_text(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))


def changed_keys(stored: Mapping[str, Any], config: RunConfig) -> list[str]:
    """Dotted keys in which a stored run differs from ``config``, but for what is free to change.

    A key that is younger than the stored run had its default there.
    """
    now = config.model_dump(mode="json")
    stored = _filled(stored, RunConfig(folder=config.folder).model_dump(mode="json"))
    return sorted(
        key
        for name in now
        if name not in FREE_TO_CHANGE
        for key in _differing(name, stored.get(name), now[name])
    )


def _filled(stored: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """``stored`` with the defaults of the keys that it lacks, part by part."""
    found = {**defaults, **stored}
    for name, value in stored.items():
        default = defaults.get(name)
        if isinstance(value, Mapping) and isinstance(default, Mapping):
            found[name] = _filled(value, default)
    return found


def _differing(name: str, stored: Any, now: Any) -> list[str]:
    if isinstance(stored, Mapping) and isinstance(now, Mapping):
        return [
            key
            for part in {*stored, *now}
            for key in _differing(f"{name}.{part}", stored.get(part), now.get(part))
        ]
    return [] if stored == now else [name]
