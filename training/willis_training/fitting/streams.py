"""Independent streams of randomness, each a function of the run's seed and a number."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import torch


class Stream(IntEnum):
    """What randomness is for. A value once used is never given another meaning."""

    ORDER = 1
    PLACE = 2
    AUGMENTATION = 3
    PAINTING = 4
    NETWORK = 5
    STEP = 6
    LEFT_OUT = 7


def generator(seed: int, stream: Stream, number: int) -> np.random.Generator:
    """The generator of one sample (or step) in one stream."""
    return np.random.default_rng((seed, int(stream), number))


def torch_generator(
    seed: int, stream: Stream, number: int, device: torch.device
) -> torch.Generator:
    """As ``generator``, for fields that are drawn on the device itself."""
    found = torch.Generator(device)
    found.manual_seed(torch_seed(seed, stream, number))
    return found


def torch_seed(seed: int, stream: Stream, *numbers: int) -> int:
    """63 well mixed bits: seeds that differ by one give unrelated streams."""
    state = np.random.SeedSequence((seed, int(stream), *numbers)).generate_state(1, np.uint64)
    return int(state[0] >> 1)
