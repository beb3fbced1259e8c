"""Images painted from label maps on the device: every sample another scanner's contrast.

After SynthSeg (Billot 2023): a Gaussian of random mean and SD for each tissue. Independent draws
leave half of all lesions invisible, so a label's mean is pushed away from its surroundings.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from willis_training.fitting.config import PaintingConfig
from willis_training.fitting.streams import Stream, generator, torch_generator

VALUES = 256
RIM_VOXELS = 2


def paint(
    images: torch.Tensor,
    labels: torch.Tensor,
    tissues: torch.Tensor,
    numbers: tuple[int, ...],
    config: PaintingConfig,
    seed: int,
) -> torch.Tensor:
    """Images (b, c, z, y, x), of which a share is painted from tissues and labels (b, z, y, x).

    Tissue 0 stays 0: what lies outside the head.
    """
    painted = []
    for image, label, tissue, number in zip(images, labels, tissues, numbers, strict=True):
        rng = generator(seed, Stream.PAINTING, number)
        if rng.random() >= config.share:
            painted.append(image)
            continue
        noise = torch_generator(seed, Stream.PAINTING, number, images.device)
        channels = [_channel(label, tissue, config, rng, noise) for _ in image]
        painted.append(torch.stack(channels))
    return torch.stack(painted)


def _channel(
    label: torch.Tensor,
    tissue: torch.Tensor,
    config: PaintingConfig,
    rng: np.random.Generator,
    noise: torch.Generator,
) -> torch.Tensor:
    means, sds = (
        torch.tensor(rng.uniform(*limits, VALUES), dtype=torch.float32, device=label.device)
        for limits in (config.means, config.sds)
    )
    means[0] = sds[0] = 0.0
    where = tissue.long()
    mean, sd = means[where], sds[where]
    for value in np.unique(label.cpu().numpy()):
        if value:
            inside = label == value
            mean = torch.where(inside, _contrasting_mean(inside, mean, sd, config, rng), mean)
    field = torch.randn(mean.shape, generator=noise, device=mean.device)
    return mean + sd * field


def _contrasting_mean(
    inside: torch.Tensor,
    mean: torch.Tensor,
    sd: torch.Tensor,
    config: PaintingConfig,
    rng: np.random.Generator,
) -> float:
    """A mean at least ``min_contrast`` SDs from the tissue around the label."""
    grown = functional.max_pool3d(
        inside[None, None].float(), 2 * RIM_VOXELS + 1, stride=1, padding=RIM_VOXELS
    )
    rim = (grown[0, 0] > 0) & ~inside & (sd > 0)
    drawn = float(rng.uniform(*config.means))
    if not rim.any():
        return drawn
    host, least = float(mean[rim].mean()), config.min_contrast * float(sd[rim].mean())
    away = drawn - host
    return drawn if abs(away) >= least else host + (least if away >= 0 else -least)
