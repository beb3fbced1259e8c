"""A 3D U-Net with residual and squeeze-excite blocks, and its use on each hemisphere alike.

Tensors are (batch, channel, z, y, x).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from willis_training.networks.blocks import Decoder, Encoder


@dataclass(frozen=True)
class UNetShape:
    """Size of the network: input channels, classes, feature maps for each level, skips or none."""

    in_channels: int
    classes: int
    widths: tuple[int, ...]
    skips: bool = True

    @property
    def factor(self) -> int:
        """Every axis of the input must be a multiple of this."""
        return int(2 ** (len(self.widths) - 1))


class RegionUNet(nn.Module):
    """Encoder and decoder of residual squeeze-excite blocks; returns logits for each class."""

    def __init__(self, shape: UNetShape) -> None:
        super().__init__()
        self.encoder = Encoder(shape.in_channels, shape.widths)
        self.decoder = Decoder(shape.widths, shape.skips)
        self.head = nn.Conv3d(shape.widths[0], shape.classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, in_channels, z, y, x) to logits (b, classes, z, y, x)."""
        logits: torch.Tensor = self.head(self.decoder(self.encoder(x)))
        return logits


class BothSides(nn.Module):
    """One network for both hemispheres: the right one is seen in the mirror.

    The input lies on a grid that is symmetric about x = 0, patient left at high x. Each half, with
    ``margin`` voxels beyond the midline, goes through the same network of ``regions`` + background
    classes; the output has background, the left regions, the right regions. A region can thus
    never be given to the wrong side, and every scan teaches the network twice.
    """

    def __init__(self, hemisphere: nn.Module, regions: int = 10, margin: int = 8) -> None:
        super().__init__()
        self.hemisphere = hemisphere
        self.regions = regions
        self.margin = margin

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, 1, z, y, x) to class probabilities (b, 1 + 2 * regions, z, y, x)."""
        middle = x.shape[-1] // 2
        start = middle - self.margin
        left = self.hemisphere(x[..., start:])
        right = self.hemisphere(x.flip(-1)[..., start:])
        left = left.softmax(dim=1)[..., self.margin :]
        right = right.softmax(dim=1)[..., self.margin :].flip(-1)
        background = torch.cat([right[:, :1], left[:, :1]], dim=-1)
        nothing = torch.zeros_like(left[:, 1:])
        on_left = torch.cat([nothing, left[:, 1:]], dim=-1)
        on_right = torch.cat([right[:, 1:], nothing], dim=-1)
        return torch.cat([background, on_left, on_right], dim=1)


def left_half(values: torch.Tensor, margin: int = 8) -> torch.Tensor:
    """The left hemisphere's part of a grid (..., x), as ``BothSides`` shows it to its network."""
    return values[..., values.shape[-1] // 2 - margin :]
