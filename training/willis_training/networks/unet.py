"""A 3D U-Net with residual and squeeze-excite blocks, applied to each hemisphere alike.

Squeeze-excite after Hu et al. 2018 (arXiv:1709.01507); residual units after He et al. 2016 with
instance normalisation, as in nnU-Net's residual encoder. Tensors are (batch, channel, z, y, x).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn


@dataclass(frozen=True)
class UNetShape:
    """Size of the network: input channels, classes, and feature maps for each level."""

    in_channels: int
    classes: int
    widths: tuple[int, ...]

    @property
    def factor(self) -> int:
        """Every axis of the input must be a multiple of this."""
        return int(2 ** (len(self.widths) - 1))


class SqueezeExcite(nn.Module):
    """Scales each channel by a gate computed from all channels' means."""

    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        hidden = max(channels // reduction, 4)
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool3d(1),
            nn.Conv3d(channels, hidden, 1),
            nn.ReLU(),
            nn.Conv3d(hidden, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Same shape as ``x``."""
        gated: torch.Tensor = x * self.gate(x)
        return gated


class ResidualBlock(nn.Module):
    """Two 3 x 3 x 3 convolutions with normalisation, a squeeze-excite gate and a skip."""

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv3d(in_channels, channels, 3, stride, 1, bias=False),
            nn.InstanceNorm3d(channels, affine=True),
            nn.LeakyReLU(0.01),
            nn.Conv3d(channels, channels, 3, 1, 1, bias=False),
            nn.InstanceNorm3d(channels, affine=True),
            SqueezeExcite(channels),
        )
        self.skip: nn.Module = nn.Identity()
        if stride != 1 or in_channels != channels:
            self.skip = nn.Conv3d(in_channels, channels, 1, stride, bias=False)
        self.activation = nn.LeakyReLU(0.01)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, in_channels, z, y, x) to (b, channels, z / stride, y / stride, x / stride)."""
        out: torch.Tensor = self.activation(self.body(x) + self.skip(x))
        return out


class DecoderStage(nn.Module):
    """Upsamples by two, joins the encoder's features of that level, refines."""

    def __init__(self, below: int, channels: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose3d(below, channels, 2, 2)
        self.refine = ResidualBlock(2 * channels, channels)

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """Features of the level below and of the encoder to features of this level."""
        out: torch.Tensor = self.refine(torch.cat([self.up(x), skip], dim=1))
        return out


class RegionUNet(nn.Module):
    """Encoder and decoder of residual squeeze-excite blocks; returns logits for each class."""

    def __init__(self, shape: UNetShape) -> None:
        super().__init__()
        widths = shape.widths
        stages = [ResidualBlock(shape.in_channels, widths[0])]
        stages += [ResidualBlock(a, b, stride=2) for a, b in pairwise(widths)]
        self.encoder = nn.ModuleList(stages)
        self.decoder = nn.ModuleList(
            DecoderStage(b, a) for a, b in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )
        self.head = nn.Conv3d(widths[0], shape.classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, in_channels, z, y, x) to logits (b, classes, z, y, x)."""
        features = []
        for stage in self.encoder:
            x = stage(x)
            features.append(x)
        for decode, skip in zip(self.decoder, features[-2::-1], strict=True):
            x = decode(x, skip)
        logits: torch.Tensor = self.head(x)
        return logits


class BothSides(nn.Module):
    """One network for both hemispheres: the right one is seen in the mirror.

    The input lies on a grid that is symmetric about x = 0, patient left at high x. Each half, with
    ``margin`` voxels beyond the midline, goes through the same network of ``regions`` + background
    classes; the output has background, the left regions, the right regions. A region can thus
    never be given to the wrong side, and every scan teaches the network twice.
    """

    def __init__(self, hemisphere: RegionUNet, regions: int = 10, margin: int = 8) -> None:
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
