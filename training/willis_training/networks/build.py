"""One configuration, five architectures: the name in a run's file decides which is built.

Every network takes (b, in_channels, z, y, x) and gives logits (b, classes, z, y, x).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import nn

Kind = Literal["unet_se", "monai_unet", "segresnet", "swinunetr", "unetr"]
KINDS: tuple[Kind, ...] = ("unet_se", "monai_unet", "segresnet", "swinunetr", "unetr")


class NetworkConfig(BaseModel):
    """Which network, and how large. Sizes that a kind does not use must keep their default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind = "unet_se"
    in_channels: int = 1
    classes: int = 2
    patch: tuple[int, int, int] = (64, 64, 64)
    """Voxels (z, y, x) the network is shown at once; UNETR is built for exactly this size."""
    widths: tuple[int, ...] = (16, 32, 64, 128)
    """unet_se and monai_unet: feature maps of each level, the finest first."""
    skips: bool = True
    """unet_se: whether the decoder sees the encoder's features."""
    residual_units: int = 2
    """monai_unet: residual units of each level."""
    initial_filters: int = 16
    """segresnet: feature maps of the finest level; each level below doubles them."""
    blocks_down: tuple[int, ...] = (1, 2, 2, 4)
    """segresnet: residual blocks of each level of the encoder."""
    feature_size: int = 24
    """swinunetr (a multiple of 12) and unetr: feature maps of the finest level."""
    depths: tuple[int, int, int, int] = (2, 2, 2, 2)
    """swinunetr: transformer blocks of each stage."""
    heads: tuple[int, int, int, int] = (3, 6, 12, 24)
    """swinunetr: attention heads of each stage."""
    hidden_size: int = 384
    """unetr: length of a token; a multiple of ``token_heads``."""
    token_heads: int = 6
    """unetr: attention heads."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """All but unet_se: share of the features that a training step leaves out."""
    gradient_checkpointing: bool = False
    """Compute features again in the backward pass instead of keeping them: slower, less memory."""

    @property
    def factor(self) -> int:
        """Every axis of the input must be a multiple of this."""
        if self.kind in ("unet_se", "monai_unet"):
            return int(2 ** (len(self.widths) - 1))
        if self.kind == "segresnet":
            return int(2 ** (len(self.blocks_down) - 1))
        return {"swinunetr": 32, "unetr": 16}[self.kind]

    @model_validator(mode="after")
    def _sizes_fit(self) -> NetworkConfig:
        if any(size % self.factor or size <= 0 for size in self.patch):
            raise ValueError(
                f"patch {list(self.patch)}: {self.kind} of this size needs multiples of "
                f"{self.factor} on every axis."
            )
        if all(size == self.factor for size in self.patch):
            raise ValueError(
                f"patch {list(self.patch)}: one voxel is left at the deepest level, which can't be "
                "normalised. Double an axis, or take fewer levels."
            )
        if self.dropout and self.kind == "unet_se":
            raise ValueError("unet_se has no dropout.")
        return self


def build_network(config: NetworkConfig) -> nn.Module:
    """The network with fresh weights; set the seed before for the same weights again."""
    network = BUILDERS[config.kind](config)
    if config.gradient_checkpointing:
        from willis_training.networks.checkpointing import recompute_features

        recompute_features(network)
    return network


def _unet_se(config: NetworkConfig) -> nn.Module:
    from willis_training.networks.unet import RegionUNet, UNetShape

    shape = UNetShape(config.in_channels, config.classes, config.widths, config.skips)
    return RegionUNet(shape)


def _monai_unet(config: NetworkConfig) -> nn.Module:
    from monai.networks.nets.unet import UNet

    network: nn.Module = UNet(
        spatial_dims=3,
        in_channels=config.in_channels,
        out_channels=config.classes,
        channels=config.widths,
        strides=(2,) * (len(config.widths) - 1),
        num_res_units=config.residual_units,
        dropout=config.dropout,
    )
    return network


def _segresnet(config: NetworkConfig) -> nn.Module:
    from monai.networks.nets.segresnet import SegResNet

    network: nn.Module = SegResNet(
        in_channels=config.in_channels,
        out_channels=config.classes,
        init_filters=config.initial_filters,
        blocks_down=config.blocks_down,
        blocks_up=(1,) * (len(config.blocks_down) - 1),
        dropout_prob=config.dropout or None,
    )
    return network


def _swinunetr(config: NetworkConfig) -> nn.Module:
    from monai.networks.nets.swin_unetr import SwinUNETR

    network: nn.Module = SwinUNETR(
        in_channels=config.in_channels,
        out_channels=config.classes,
        feature_size=config.feature_size,
        depths=config.depths,
        num_heads=config.heads,
        drop_rate=config.dropout,
        use_checkpoint=config.gradient_checkpointing,
    )
    return network


def _unetr(config: NetworkConfig) -> nn.Module:
    from monai.networks.nets.unetr import UNETR

    network = UNETR(
        in_channels=config.in_channels,
        out_channels=config.classes,
        img_size=config.patch,
        feature_size=config.feature_size,
        hidden_size=config.hidden_size,
        mlp_dim=4 * config.hidden_size,
        num_heads=config.token_heads,
        dropout_rate=config.dropout,
    )
    # MONAI builds them for a cross attention that UNETR has not; they would never get a gradient.
    for block in network.vit.blocks:
        block.norm_cross_attn.requires_grad_(False)
    return cast(nn.Module, network)


BUILDERS: Mapping[Kind, Callable[[NetworkConfig], nn.Module]] = {
    "unet_se": _unet_se,
    "monai_unet": _monai_unet,
    "segresnet": _segresnet,
    "swinunetr": _swinunetr,
    "unetr": _unetr,
}
