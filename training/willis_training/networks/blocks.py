"""Building blocks of 3D networks: squeeze-excite, residual block, encoder, decoder.

Squeeze-excite after Hu et al. 2018 (arXiv:1709.01507); residual units after He et al. 2016 with
instance normalisation, as in nnU-Net's residual encoder. Tensors are (batch, channel, z, y, x).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn


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
    """Upsamples by two, joins the encoder's features of that level (if it skips), refines."""

    def __init__(self, below: int, channels: int, skips: bool = True) -> None:
        super().__init__()
        self.up = nn.ConvTranspose3d(below, channels, 2, 2)
        self.refine = ResidualBlock(2 * channels if skips else channels, channels)

    def forward(self, x: torch.Tensor, skip: torch.Tensor | None = None) -> torch.Tensor:
        """Features of the level below, and of the encoder, to features of this level."""
        up = self.up(x)
        out: torch.Tensor = self.refine(up if skip is None else torch.cat([up, skip], dim=1))
        return out


# Both are lists of stages, so that a stage's weights are named by its number alone.
class Encoder(nn.ModuleList):
    """A residual block for each width; each but the first halves the grid."""

    def __init__(self, in_channels: int, widths: Sequence[int]) -> None:
        stages = [ResidualBlock(in_channels, widths[0])]
        super().__init__([*stages, *(ResidualBlock(a, b, stride=2) for a, b in pairwise(widths))])

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Features of every level, the finest first."""
        features = []
        for stage in self:
            x = stage(x)
            features.append(x)
        return features


class Decoder(nn.ModuleList):
    """From the deepest features back to the finest grid, with or without skips on the way."""

    def __init__(self, widths: Sequence[int], skips: bool = True) -> None:
        downwards = list(pairwise(widths))
        super().__init__(DecoderStage(below, above, skips) for above, below in downwards[::-1])
        self.skips = skips

    def forward(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """The features of an ``Encoder`` to features (b, widths[0], z, y, x)."""
        *shallower, x = features
        for stage, skip in zip(self, reversed(shallower), strict=True):
            x = stage(x, skip if self.skips else None)
        return x
