"""Where a run computes: one CPU, one GPU or several, with the same code and the same samples."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightning.fabric import Fabric
from lightning.fabric.strategies.ddp import DDPStrategy
from lightning.fabric.strategies.model_parallel import ModelParallelStrategy
from lightning.fabric.strategies.strategy import Strategy
from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from willis_training.fitting.config import HardwareConfig
from willis_training.networks.checkpointing import blocks_of


def accelerator_of(config: HardwareConfig) -> str:
    """``cpu`` or ``cuda``. Raises ValueError where a GPU is asked for and none is there."""
    if config.accelerator == "cuda" and not torch.cuda.is_available():
        raise ValueError("hardware.accelerator is cuda, but torch sees no GPU here.")
    if config.accelerator != "auto":
        return config.accelerator
    return "cuda" if torch.cuda.is_available() else "cpu"


def processes_here(config: HardwareConfig) -> int:
    """Processes of this machine: one for each device."""
    if config.devices != "auto":
        return config.devices
    return torch.cuda.device_count() if accelerator_of(config) == "cuda" else 1


def open_fabric(config: HardwareConfig) -> Fabric:
    """Lightning's handle on devices and processes, in a process that is already launched."""
    accelerator, count = accelerator_of(config), processes_here(config)
    fabric = Fabric(
        accelerator=accelerator,
        devices=count,
        num_nodes=config.nodes,
        strategy=_strategy(config, count * config.nodes),
        precision="bf16-mixed" if config.precision == "bf16" else "32-true",
    )
    fabric.launch()
    return fabric


def is_sharded(config: HardwareConfig) -> bool:
    """Whether each process holds only its share of the weights."""
    return config.strategy == "fsdp"


def _strategy(config: HardwareConfig, world: int) -> str | Strategy:
    if is_sharded(config):
        return ModelParallelStrategy(shard, data_parallel_size=world, tensor_parallel_size=1)
    if config.strategy == "ddp" or world > 1:
        return DDPStrategy()
    return "auto"


def shard(network: nn.Module, mesh: DeviceMesh) -> nn.Module:
    """FSDP2 in place: each block's weights are gathered when it runs and let go after."""
    over = mesh["data_parallel"] if mesh.mesh_dim_names else mesh
    for block in blocks_of(network):
        fully_shard(block, mesh=over)
    fully_shard(network, mesh=over)
    return network


def shard_like(network: nn.Module, fabric: Fabric) -> None:
    """Shard a second network over the devices that the first one is sharded over."""
    strategy = fabric.strategy
    if isinstance(strategy, ModelParallelStrategy):
        shard(network, strategy.device_mesh)


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor with the shares of all processes; every process must ask at once."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def share_of(tensor: torch.Tensor) -> torch.Tensor:
    """This process's share of a tensor: all of it, unless it is sharded."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


@contextmanager
def settings_of(config: HardwareConfig) -> Iterator[None]:
    """Threads and determinism for the duration of a run; Lightning says only what is wrong."""
    loggers = [logging.getLogger(name) for name in ("lightning.fabric", "lightning.pytorch")]
    levels = [logger.level for logger in loggers]
    threads, was_deterministic = (
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
    )
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    if config.deterministic:
        if accelerator_of(config) == "cuda":
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        # Some backward passes have no repeatable form on a GPU; torch names them in a warning.
        torch.use_deterministic_algorithms(True, warn_only=True)
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(was_deterministic)


def must_launch(config: HardwareConfig) -> bool:
    """Whether this process has to start the others; not where torchrun or SLURM did."""
    return processes_here(config) > 1 and "LOCAL_RANK" not in os.environ and not _in_slurm()


def _in_slurm() -> bool:
    return int(os.environ.get("SLURM_NTASKS", "1")) > 1
