"""Losses over class logits (b, c, z, y, x) and integer labels (b, z, y, x)."""

from __future__ import annotations

import torch
from torch.nn import functional

SMOOTH = 1e-5


def dice_ce(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Soft Dice over the foreground classes present in the batch, plus cross-entropy.

    Works on voxels x classes, which is how channels-last logits lie in memory.
    """
    flat = logits.movedim(1, -1).reshape(-1, logits.shape[1])
    truth = labels.reshape(-1)
    log_probabilities = functional.log_softmax(flat, dim=1)
    cross_entropy = functional.nll_loss(log_probabilities, truth)
    return cross_entropy + soft_dice(log_probabilities.exp(), truth)


def soft_dice(probabilities: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """One minus the mean soft Dice of the foreground classes that ``truth`` holds.

    ``probabilities`` (voxels, classes), ``truth`` (voxels,).
    """
    classes = probabilities.shape[1]
    hit = probabilities.gather(1, truth[:, None])[:, 0]
    overlap = torch.zeros(classes).index_add(0, truth, hit)
    size = torch.bincount(truth, minlength=classes).float()
    dice = (2 * overlap + SMOOTH) / (probabilities.sum(dim=0) + size + SMOOTH)
    return 1.0 - dice[1:][size[1:] > 0].mean()
