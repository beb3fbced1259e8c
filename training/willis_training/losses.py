"""Losses over class logits (b, c, z, y, x) and integer labels (b, z, y, x).

Those of MONAI where it has them. ``build_loss`` makes the one that a run's file names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch.nn import functional

SMOOTH = 1e-5

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Name = Literal["dice", "ce", "dice_ce", "present_dice_ce", "tversky", "bce", "generalised_dice"]


class LossConfig(BaseModel):
    """Which loss.

    dice, dice_ce: soft Dice of every class of every sample (Milletari 2016), with cross-entropy.
    present_dice_ce: the Dice part counts only foreground classes that the batch's truth holds, so
    that many small classes don't drown in classes that a patch does not show.
    tversky: ``alpha`` weighs false positives, ``beta`` false negatives (Salehi 2017).
    bce: each class against the rest. generalised_dice: classes weigh 1 / volume^2 (Sudre 2017).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name = "dice_ce"
    include_background: bool = False
    """Whether class 0 counts in the Dice-like parts."""
    class_weights: tuple[float, ...] | None = None
    """Weight of each class, background first: dice, ce, dice_ce, present_dice_ce, bce."""
    dice_weight: float = Field(default=1.0, ge=0.0)
    ce_weight: float = Field(default=1.0, ge=0.0)
    """dice_ce and present_dice_ce: weights of their two parts."""
    alpha: float = Field(default=0.3, ge=0.0)
    beta: float = Field(default=0.7, ge=0.0)

    @model_validator(mode="after")
    def _weights_are_used(self) -> LossConfig:
        if self.class_weights is not None and self.name in ("tversky", "generalised_dice"):
            raise ValueError(f"{self.name} takes no class_weights.")
        return self


def build_loss(config: LossConfig, classes: int) -> Loss:
    """The loss for ``classes`` classes, background included. Raises ValueError on other weights."""
    if config.class_weights is not None and len(config.class_weights) != classes:
        raise ValueError(
            f"loss.class_weights: {len(config.class_weights)} weights for {classes} classes."
        )
    return _BUILDERS[config.name](config)


def dice_ce(
    logits: torch.Tensor,
    labels: torch.Tensor,
    weights: torch.Tensor | None = None,
    dice_weight: float = 1.0,
    ce_weight: float = 1.0,
) -> torch.Tensor:
    """Soft Dice over the foreground classes present in the batch, plus cross-entropy.

    Works on voxels x classes, which is how channels-last logits lie in memory.
    """
    flat = logits.movedim(1, -1).reshape(-1, logits.shape[1])
    truth = labels.reshape(-1)
    log_probabilities = functional.log_softmax(flat, dim=1)
    cross_entropy = functional.nll_loss(log_probabilities, truth, weights)
    overlap = soft_dice(log_probabilities.exp(), truth, weights)
    return ce_weight * cross_entropy + dice_weight * overlap


def soft_dice(
    probabilities: torch.Tensor, truth: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """One minus the mean soft Dice of the foreground classes that ``truth`` holds.

    ``probabilities`` (voxels, classes), ``truth`` (voxels,). Without any foreground: 0.
    """
    classes = probabilities.shape[1]
    hit = probabilities.gather(1, truth[:, None])[:, 0]
    overlap = torch.zeros(classes, device=hit.device).index_add(0, truth, hit)
    size = torch.bincount(truth, minlength=classes).float()
    dice = (2 * overlap + SMOOTH) / (probabilities.sum(dim=0) + size + SMOOTH)
    present = (size[1:] > 0).float() * (1.0 if weights is None else weights[1:])
    return 1.0 - (dice[1:] * present).sum() / present.sum() if present.any() else 0.0 * dice.sum()


def _common(config: LossConfig) -> dict[str, Any]:
    return {
        "to_onehot_y": True,
        "include_background": config.include_background,
        "smooth_nr": SMOOTH,
        "smooth_dr": SMOOTH,
    }


def _weights(config: LossConfig, device: torch.device | None = None) -> torch.Tensor | None:
    if config.class_weights is None:
        return None
    return torch.tensor(config.class_weights, device=device)


def _channelled(loss: Loss) -> Loss:
    """MONAI wants labels with a channel of their own, (b, 1, z, y, x)."""
    return lambda logits, labels: loss(logits, labels[:, None])


def _dice(config: LossConfig) -> Loss:
    from monai.losses.dice import DiceLoss

    weights = _weights(config)
    if weights is not None and not config.include_background:
        weights = weights[1:]
    return _channelled(DiceLoss(softmax=True, weight=weights, **_common(config)))


def _ce(config: LossConfig) -> Loss:
    return lambda logits, labels: functional.cross_entropy(
        logits, labels, _weights(config, logits.device)
    )


def _dice_and_ce(config: LossConfig) -> Loss:
    dice, cross_entropy = _dice(config), _ce(config)
    return lambda logits, labels: (
        config.dice_weight * dice(logits, labels) + config.ce_weight * cross_entropy(logits, labels)
    )


def _present_dice_ce(config: LossConfig) -> Loss:
    return lambda logits, labels: dice_ce(
        logits, labels, _weights(config, logits.device), config.dice_weight, config.ce_weight
    )


def _tversky(config: LossConfig) -> Loss:
    from monai.losses.tversky import TverskyLoss

    return _channelled(
        TverskyLoss(softmax=True, alpha=config.alpha, beta=config.beta, **_common(config))
    )


def _bce(config: LossConfig) -> Loss:
    def loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        truth = functional.one_hot(labels, logits.shape[1]).movedim(-1, 1).to(logits.dtype)
        weights = _weights(config, logits.device)
        if weights is not None:
            weights = weights[:, None, None, None]
        return functional.binary_cross_entropy_with_logits(logits, truth, weights)

    return loss


def _generalised_dice(config: LossConfig) -> Loss:
    from monai.losses.dice import GeneralizedDiceLoss

    return _channelled(GeneralizedDiceLoss(softmax=True, **_common(config)))


_BUILDERS: Mapping[Name, Callable[[LossConfig], Loss]] = {
    "dice": _dice,
    "ce": _ce,
    "dice_ce": _dice_and_ce,
    "present_dice_ce": _present_dice_ce,
    "tversky": _tversky,
    "bce": _bce,
    "generalised_dice": _generalised_dice,
}
