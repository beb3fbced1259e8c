"""What a run carries from step to step, and how it is kept: one file, whatever the hardware.

The checkpoint holds whole tensors under plain names, so that a run that began on one device may go
on with eight, sharded or not.
"""

from __future__ import annotations

import copy
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from lightning.fabric.wrappers import _FabricModule
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from willis_training.fitting.config import RunConfig, changed_keys
from willis_training.fitting.hardware import is_sharded, shard_like, share_of, whole
from willis_training.fitting.result import Validation
from willis_training.fitting.schedule import optimiser_arguments, share_kept
from willis_training.fitting.streams import Stream, torch_seed
from willis_training.networks.build import build_network

LAST, BEST = "last.pt", "best.pt"
WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)

OPTIMISERS: dict[str, type[torch.optim.Optimizer]] = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "sgd": torch.optim.SGD,
}


class RunChanged(ValueError):
    """The folder holds a run of another configuration or other data."""


@dataclass
class RunState:
    """Weights, their average, optimiser, and how far the run is."""

    config: RunConfig
    network: nn.Module
    average: nn.Module
    forward: _FabricModule
    """The network as Lightning runs it: autocast, and gradients shared between processes."""
    optimiser: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0
    history: list[Validation] = field(default_factory=list)

    @property
    def best_dice(self) -> float:
        """Of all validations so far; -1 before the first."""
        return max((line.mean_dice for line in self.history), default=-1.0)

    def blend(self) -> None:
        """Let the average follow the weights by one step."""
        if self.average is self.network:
            return
        keep = share_kept(self.config.ema or 0.0, self.step)
        with torch.no_grad():
            pairs = zip(self.average.parameters(), self.network.parameters(), strict=True)
            for mean, now in pairs:
                share_of(mean).lerp_(share_of(now), 1 - keep)
            for kept, new in zip(self.average.buffers(), self.network.buffers(), strict=True):
                kept.copy_(new)


def fresh_state(config: RunConfig, fabric: Fabric) -> RunState:
    """A run at its beginning, on the device; every process draws the same weights."""
    torch.manual_seed(torch_seed(config.seed, Stream.NETWORK, 0))
    network = build_network(config.network)
    if config.start_from is not None and not (config.folder / LAST).exists():
        stored = torch.load(config.start_from, weights_only=True, map_location="cpu")
        network.load_state_dict(stored)
    sharded = is_sharded(config.hardware)
    if not sharded:  # FSDP takes contiguous weights only.
        # torch's type hints leave memory_format out; the call works in place.
        network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    network.to(fabric.device)
    average = network if config.ema is None else copy.deepcopy(network).requires_grad_(False).eval()
    if average is not network:
        shard_like(average, fabric)
    forward = fabric.setup_module(network)
    kind = OPTIMISERS[config.optimiser.name]
    learning = [weight for weight in network.parameters() if weight.requires_grad]
    optimiser = kind(learning, **optimiser_arguments(config.optimiser))  # type: ignore[arg-type]
    return RunState(config, network, average, forward, optimiser)


def weights_of(network: nn.Module) -> dict[str, torch.Tensor]:
    """Whole weights on the CPU under plain names; every process must ask at once."""
    state = network.state_dict()
    return {name: whole(value).detach().cpu().contiguous() for name, value in state.items()}


def plain_average(state: RunState) -> nn.Module:
    """The averaged network in one piece, in evaluation mode, on its device."""
    if not is_sharded(state.config.hardware):
        return state.average.eval()
    device = next(state.network.parameters()).device
    network = build_network(state.config.network)
    network.load_state_dict(weights_of(state.average))
    return network.to(device).eval()


def keep(state: RunState, fabric: Fabric, data_digest: str) -> None:
    """Write the checkpoint and, where they are the best so far, the averaged weights alone."""
    folder = state.config.folder
    average = weights_of(state.average)
    content = {
        "network": weights_of(state.network),
        "average": average,
        "optimiser": get_optimizer_state_dict(state.network, state.optimiser, options=WHOLE),
        "step": state.step,
        "seconds": state.seconds,
        "history": [asdict(line) for line in state.history],
        "config": state.config.model_dump(mode="json"),
        "data_digest": data_digest,
    }
    if fabric.is_global_zero:
        if state.history[-1].is_best:
            _save(average, folder / BEST)
        _save(content, folder / LAST)
    fabric.barrier()


def resume(state: RunState, fabric: Fabric, data_digest: str) -> None:
    """Go on where the folder's checkpoint stopped, if it has one.

    Raises RunChanged where it is of another configuration or other data.
    """
    path = state.config.folder / LAST
    if not path.exists():
        return
    stored: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    _must_fit(stored, state.config, data_digest)
    for name, network in (("network", state.network), ("average", state.average)):
        set_model_state_dict(network, stored[name], options=StateDictOptions(full_state_dict=True))
    options = StateDictOptions(full_state_dict=True)
    set_optimizer_state_dict(state.network, state.optimiser, stored["optimiser"], options=options)
    state.step, state.seconds = stored["step"], stored["seconds"]
    state.history = [Validation(**line) for line in stored["history"]]


def _must_fit(stored: dict[str, Any], config: RunConfig, data_digest: str) -> None:
    if "config" not in stored:
        raise RunChanged(
            f"{config.folder} holds a run of an earlier version, which can't be gone on with. Set "
            "another folder, and start_from to begin with its weights."
        )
    changed = changed_keys(stored["config"], config)
    if stored["data_digest"] != data_digest:
        changed.append("the data itself")
    if changed:
        raise RunChanged(
            f"{config.folder} holds a run that differs in: {', '.join(changed)}. Set another "
            "folder (and start_from, to begin with its weights), or delete this one."
        )


def _save(content: dict[str, Any], path: Path) -> None:
    """Complete or not at all."""
    partial = path.with_suffix(".part")
    torch.save(content, partial)
    os.replace(partial, path)
