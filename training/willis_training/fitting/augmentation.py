"""Augmentation of a batch on its own device: shape, intensities, and inputs that are missing.

Numbers are drawn on the CPU from (seed, number of the sample) alone; the work and the noise fields
are the device's. Runs after preparation, never before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.nn import functional

from willis_training.fitting.config import AugmentationConfig, LeftOut
from willis_training.fitting.streams import Stream, generator, torch_generator

BIAS_NODES = (3, 3, 3)

Change = Callable[
    [torch.Tensor, AugmentationConfig, np.random.Generator, torch.Generator], torch.Tensor
]


def augment(
    images: torch.Tensor,
    labels: torch.Tensor,
    numbers: Sequence[int],
    config: AugmentationConfig,
    shape: Sequence[int],
    seed: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (b, c, z, y, x) and labels (b, z, y, x), changed and cut to ``shape``.

    The input may be larger than ``shape``: what is turned in at the borders comes from there.
    Labels come back as int64.
    """
    rngs = [generator(seed, Stream.AUGMENTATION, number) for number in numbers]
    where = torch.cat([_places(images, config, shape, rng) for rng in rngs])
    images, labels = _sample(images, labels, where)
    done = []
    for image, number, rng in zip(images, numbers, rngs, strict=True):
        noise = torch_generator(seed, Stream.AUGMENTATION, number, images.device)
        done.append(without(recolour(image, config, rng, noise), config.left_out, number, seed))
    return torch.stack(done), labels


def recolour(
    image: torch.Tensor,
    config: AugmentationConfig,
    rng: np.random.Generator,
    noise: torch.Generator,
) -> torch.Tensor:
    """Another scanner: image (c, z, y, x) with other contrast, bias, slices and noise."""
    changed = image
    for change in CHANGES:
        changed = change(changed, config, rng, noise)
    if config.zero_is_background:
        changed = changed * (image != 0)
    return changed if config.clip is None else changed.clamp(*config.clip)


def without(
    image: torch.Tensor, left_out: Sequence[LeftOut], number: int, seed: int
) -> torch.Tensor:
    """An image (c, z, y, x) without the inputs that sample ``number`` is to miss."""
    draws = generator(seed, Stream.LEFT_OUT, number).random(len(left_out))
    gone = [one for one, draw in zip(left_out, draws, strict=True) if draw < one.share]
    changed = image.clone() if gone else image
    for one in gone:
        changed[list(one.channels)] = 0.0
    return changed


def _places(
    images: torch.Tensor,
    config: AugmentationConfig,
    shape: Sequence[int],
    rng: np.random.Generator,
) -> torch.Tensor:
    """Where each voxel of the result (1, z, y, x, 3) is read, for ``grid_sample``."""
    size = np.array(shape, dtype=np.float64)[::-1]  # grid_sample counts x, y, z
    read = np.array(images.shape[2:], dtype=np.float64)[::-1]
    linear = _linear(config, rng)
    shift = rng.normal(0.0, 1.0, 3) * config.shift_sd
    nodes = rng.normal(0.0, 1.0, (1, 3, *config.warp_nodes)) * config.warp_sd
    # From shares of the half side to voxels, the change, and to shares of what was read.
    theta = np.hstack([linear * size, (shift * size)[:, None]]) / read[:, None]
    grid = functional.affine_grid(
        torch.tensor(theta, dtype=torch.float32)[None].to(images.device),
        [1, 1, *shape],
        align_corners=False,
    )
    if config.warp_sd == 0.0:
        return grid
    scale = torch.tensor(size / read, dtype=torch.float32, device=images.device)
    return grid + scale * _smooth(nodes, shape, images.device)[0].movedim(0, -1)


def _linear(config: AugmentationConfig, rng: np.random.Generator) -> np.ndarray:
    """The linear map (3, 3) of voxel offsets (x, y, z) from the result to what is read."""
    angles = np.deg2rad(rng.uniform(-1.0, 1.0, 3) * config.rotation_deg)
    scale = 1.0 + rng.uniform(-1.0, 1.0, 3) * config.scaling
    spread = rng.normal(0.0, 1.0, (3, 3)) * config.linear_sd
    flips = rng.random(3) < 0.5
    linear: np.ndarray = np.eye(3)
    for axis, angle in enumerate(angles):
        first, second = (n for n in range(3) if n != axis)
        turn = np.eye(3)
        turn[first, first] = turn[second, second] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        linear = linear @ turn
    mirror = [-1.0 if 2 - n in config.flip_axes and flips[n] else 1.0 for n in range(3)]
    return (linear * scale + spread) * mirror


def _sample(
    images: torch.Tensor, labels: torch.Tensor, where: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    read = functional.grid_sample
    found = read(images, where, mode="bilinear", align_corners=False)
    nearest = read(labels[:, None].float(), where, mode="nearest", align_corners=False)
    return found, nearest[:, 0].long()


def _smooth(nodes: np.ndarray, shape: Sequence[int], device: torch.device) -> torch.Tensor:
    """A field (1, n, z, y, x) through its nodes."""
    coarse = torch.tensor(nodes, dtype=torch.float32).to(device)
    return functional.interpolate(coarse, tuple(shape), mode="trilinear", align_corners=True)


def _thicken(
    image: torch.Tensor,
    config: AugmentationConfig,
    rng: np.random.Generator,
    noise: torch.Generator,
) -> torch.Tensor:
    """Slices averaged over several voxels along z, then interpolated back."""
    draw, thickness = rng.random(), int(rng.integers(1, config.slice_voxels + 1))
    if thickness == 1 or draw >= config.slice_share:
        return image
    thick = functional.avg_pool3d(image[None], (thickness, 1, 1), ceil_mode=True)
    full = functional.interpolate(
        thick, scale_factor=(thickness, 1, 1), mode="trilinear", align_corners=False
    )
    return full[0, :, : image.shape[1]]


def _shade(
    image: torch.Tensor,
    config: AugmentationConfig,
    rng: np.random.Generator,
    noise: torch.Generator,
) -> torch.Tensor:
    """A smooth multiplicative bias field."""
    nodes = rng.normal(0.0, 1.0, (1, 1, *BIAS_NODES)) * config.bias_sd
    if config.bias_sd == 0.0:
        return image
    return image * _smooth(nodes, image.shape[1:], image.device)[0].exp()


def _stretch(
    image: torch.Tensor,
    config: AugmentationConfig,
    rng: np.random.Generator,
    noise: torch.Generator,
) -> torch.Tensor:
    """Gamma, contrast and offset."""
    gamma = float(np.exp(rng.uniform(-1.0, 1.0) * config.gamma))
    contrast = 1.0 + float(rng.uniform(-1.0, 1.0)) * config.contrast
    offset = float(rng.normal()) * config.offset_sd
    if config.gamma:
        image = image.clamp_min(0.0) ** gamma
    return image * contrast + offset


def _roughen(
    image: torch.Tensor,
    config: AugmentationConfig,
    rng: np.random.Generator,
    noise: torch.Generator,
) -> torch.Tensor:
    """White noise."""
    draw, sd = rng.random(), float(rng.uniform(0.0, config.noise))
    if config.noise == 0.0 or draw >= config.noise_share:
        return image
    field = torch.randn(image.shape, generator=noise, device=image.device)
    return image + sd * field


CHANGES: tuple[Change, ...] = (_thicken, _shade, _stretch, _roughen)
