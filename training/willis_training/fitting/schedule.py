"""What follows from the step alone: learning rate, age of the averaged weights, when to stop."""

from __future__ import annotations

import math
from collections.abc import Sequence

from willis_training.fitting.config import EarlyStopping, OptimiserConfig, RunConfig


def learning_rate(config: RunConfig, step: int) -> float:
    """The rate of step ``step`` (0 the first): linear warm-up, then decay to the floor."""
    schedule, highest = config.schedule, config.optimiser.learning_rate
    if step < schedule.warm_up:
        return highest * (step + 1) / schedule.warm_up
    left = max(config.iterations - schedule.warm_up, 1)
    done = min((step - schedule.warm_up) / left, 1.0)
    shares: dict[str, float] = {
        "cosine": 0.5 * (1.0 + math.cos(math.pi * done)),
        "polynomial": math.pow(1.0 - done, schedule.power),
        "constant": 1.0,
    }
    share = shares[schedule.name]
    return highest * (schedule.floor + (1.0 - schedule.floor) * share)


def share_kept(ema: float, step: int) -> float:
    """How much of the averaged weights step ``step`` (0 the first) keeps: little at first."""
    return min(ema, (1 + step) / (10 + step))


def has_stalled(dices: Sequence[float], rule: EarlyStopping | None) -> bool:
    """Whether the mean Dice of the last ``patience`` validations rose above the best before."""
    if rule is None or len(dices) <= rule.patience:
        return False
    before, since = dices[: -rule.patience], dices[-rule.patience :]
    return max(since) < max(before) + rule.min_delta


def optimiser_arguments(config: OptimiserConfig) -> dict[str, float | bool]:
    """What torch's optimiser of that name is given."""
    common: dict[str, float | bool] = {
        "lr": config.learning_rate,
        "weight_decay": config.weight_decay,
    }
    if config.name == "sgd":
        return {**common, "momentum": config.momentum, "nesterov": config.momentum > 0.0}
    return common
