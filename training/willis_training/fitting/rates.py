"""How long a run reads, simulates and learns: whether its generator starves the network."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import torch

from willis_training.fitting.result import Rates

Doing = Literal["reading", "changing", "learning"]
WARM_UP_STEPS = 1


@dataclass
class Clock:
    """Seconds spent on each part of the work, from the second step of a session on."""

    device: torch.device
    seconds: dict[Doing, float] = field(
        default_factory=lambda: {"reading": 0.0, "changing": 0.0, "learning": 0.0}
    )
    samples: int = 0
    steps: int = 0

    @contextmanager
    def time(self, doing: Doing) -> Iterator[None]:
        """Time a part of a step; the device has finished it at the end."""
        start = time.perf_counter()
        yield
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        if self.steps >= WARM_UP_STEPS:
            self.seconds[doing] += time.perf_counter() - start

    def count(self, samples: int) -> None:
        """One step of so many samples, over all processes, is done."""
        if self.steps >= WARM_UP_STEPS:
            self.samples += samples
        self.steps += 1

    def rates(self) -> Rates:
        """Samples a second of the generator and of the network; zeros before the second step."""
        making = self.seconds["reading"] + self.seconds["changing"]
        total = making + self.seconds["learning"]
        return Rates(
            generator_per_s=round(self.samples / making, 3) if making else 0.0,
            network_per_s=round(self.samples / (total - making), 3) if total > making else 0.0,
            starved_share=round(self.seconds["reading"] / total, 4) if total else 0.0,
        )
