"""Blocks of a network as units: recomputed one by one to save memory, sharded one by one."""

from __future__ import annotations

from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import (
    CheckpointWrapper,
    apply_activation_checkpointing,
)


def recompute_features(network: nn.Module) -> None:
    """Wrap the network's blocks, in place; names of weights stay as they are.

    Swin transformer stages bring their own and are left to it.
    """
    kinds = _block_kinds()

    def is_block(module: nn.Module) -> bool:
        return isinstance(module, kinds)

    apply_activation_checkpointing(network, check_fn=is_block)


def blocks_of(network: nn.Module) -> list[nn.Module]:
    """The network's blocks, wrapped where their features are computed again."""
    modules, kinds = list(network.modules()), _block_kinds()
    wrapped = [module for module in modules if isinstance(module, CheckpointWrapper)]
    return [*wrapped] or [module for module in modules if isinstance(module, kinds)]


def _block_kinds() -> tuple[type[nn.Module], ...]:
    from monai.networks.blocks.convolutions import ResidualUnit
    from monai.networks.blocks.dynunet_block import UnetResBlock
    from monai.networks.blocks.segresnet_block import ResBlock
    from monai.networks.blocks.transformerblock import TransformerBlock

    from willis_training.networks.blocks import ResidualBlock

    return (ResidualBlock, ResidualUnit, UnetResBlock, ResBlock, TransformerBlock)
