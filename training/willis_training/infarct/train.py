"""Training on prepared cases of which, now and then, an input that may be missing is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from willis_models.manifest import Manifest
from willis_training.fitting.config import RunConfig
from willis_training.fitting.lesson import Batch, StoredLesson
from willis_training.fitting.listener import Listener
from willis_training.fitting.loop import train
from willis_training.fitting.result import FitResult
from willis_training.fitting.samples import CaseStore, RememberedCases
from willis_training.fitting.streams import Stream, generator
from willis_training.infarct.contract import draft_manifest
from willis_training.infarct.recipe import CHOOSING

MISSING_SHARE: Mapping[str, float] = {"cbv": 0.1, "mtt": 0.1, "ncct": 0.3, "cta": 0.4}
"""How often each input that may be missing is left out of a training sample."""
_MISSING_OFFSET = 1 << 32
"""Numbers of the stream of places that no sample's place uses."""


@dataclass(frozen=True)
class OptionalInput:
    """An input that may be missing: its channel, and the one that says whether it is there."""

    role: str
    channel: int
    flag: int


def optional_inputs(manifest: Manifest) -> tuple[OptionalInput, ...]:
    """The channels of the inputs that may be missing, as ``prepare`` orders them."""
    first_flag = len(manifest.inputs) + 1
    optional = [(n, spec.role) for n, spec in enumerate(manifest.inputs) if not spec.required]
    return tuple(
        OptionalInput(role, channel, first_flag + n) for n, (channel, role) in enumerate(optional)
    )


def without(
    image: torch.Tensor, roles: Sequence[str], inputs: Sequence[OptionalInput]
) -> torch.Tensor:
    """An image (c, z, y, x) as ``prepare`` makes it when these inputs are not there."""
    changed = image.clone()
    for one in inputs:
        if one.role in roles:
            changed[one.channel] = 0.0
            changed[one.flag] = 0.0
    return changed


@dataclass(frozen=True)
class InfarctLesson(StoredLesson):
    """Whole cases, augmented, with inputs left out at random."""

    def change(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """As any stored lesson; then inputs are left out, each sample by its own number."""
        images, labels = super().change(batch)
        inputs = optional_inputs(draft_manifest())
        changed = [
            without(image, self.missing(number), inputs)
            for image, number in zip(images, batch.numbers, strict=True)
        ]
        return torch.stack(changed), labels

    def missing(self, number: int) -> tuple[str, ...]:
        """The roles that sample ``number`` goes without."""
        rng = generator(self.config.seed, Stream.PLACE, _MISSING_OFFSET + number)
        draws: dict[str, float] = {role: float(rng.random()) for role in MISSING_SHARE}
        return tuple(role for role, share in MISSING_SHARE.items() if draws[role] < share)


def fit_infarct(config: RunConfig, listener: Listener | None = None) -> FitResult:
    """Train until ``config.iterations``; resumes from the run's folder.

    Raises ValueError where the configuration names no store or no cases.
    """
    data = config.data
    if data.store is None or not data.train or not data.validation:
        raise ValueError("The run needs a store, cases that teach and cases that choose.")
    cases = RememberedCases(data.store, data.memory_mb)
    return train(config, InfarctLesson(cases, data.train, data.validation, config), listener)


def number_of(case: str) -> int:
    """The number in a simulated case's name."""
    return int(case.rpartition("_")[2])


def parts_by_head(
    store: CaseStore, train_heads: Sequence[str], validation_heads: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Cases that teach, that choose the weights, and that calibrate: no head in two of the first.

    The heads that choose also calibrate, on cases of their own.
    """

    def of(heads: Sequence[str]) -> list[str]:
        return [name for name in store.cases if name.rpartition("_")[0] in set(heads)]

    held = of(validation_heads)
    choosing = tuple(name for name in held if number_of(name) < CHOOSING)
    calibrating = tuple(name for name in held if number_of(name) >= CHOOSING)
    return tuple(of(train_heads)), choosing, calibrating


def probability_of(network: torch.nn.Module, image: np.ndarray) -> np.ndarray:
    """Probability of infarct (z, y, x) by a network that ends in a softmax."""
    with torch.inference_mode():
        found = network(torch.from_numpy(np.ascontiguousarray(image))[None])
    return np.asarray(found[0, 1].float().numpy())
