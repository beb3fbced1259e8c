"""Inputs that a model was never made for, made from ordinary ones, to try the outlier score on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Mask = NDArray[np.bool_]

MOVED_VOXELS = 10
BRIGHTER = 0.15
NOISE = 0.2


@dataclass(frozen=True)
class Prepared:
    """An input as the network gets it: image (z, y, x) in [0, 1], what is head, and the truth."""

    image: NDArray[np.float32]
    mask: Mask
    truth: NDArray[np.uint8]


def make_odd(prepared: Prepared, oddity: str) -> Prepared:
    """Make an input odd in a named way (``ODDITIES``); mask and truth move along with the image."""
    return ODDITIES[oddity](prepared)


def _everywhere(change: Callable[[Array], Array]) -> Callable[[Prepared], Prepared]:
    """A change of place: the same for image, mask and truth."""

    def apply(prepared: Prepared) -> Prepared:
        parts = (prepared.image, prepared.mask, prepared.truth)
        return Prepared(*(np.ascontiguousarray(change(part)) for part in parts))

    return apply


def _within(change: Callable[[Array, Mask], Array]) -> Callable[[Prepared], Prepared]:
    """A change of brightness inside the mask."""

    def apply(prepared: Prepared) -> Prepared:
        changed = np.where(prepared.mask, change(prepared.image, prepared.mask), prepared.image)
        image = np.clip(changed, 0.0, 1.0).astype(np.float32)
        return Prepared(image, prepared.mask, prepared.truth)

    return apply


def _upper_half(values: Array) -> Array:
    kept = values.copy()
    kept[: len(values) // 2] = 0
    return kept


def _noisy(image: Array, mask: Mask) -> Array:
    return np.asarray(image + np.random.default_rng(0).normal(0.0, NOISE, mask.shape))


ODDITIES: Mapping[str, Callable[[Prepared], Prepared]] = {
    "upside down": _everywhere(lambda values: values[::-1]),
    "front to back": _everywhere(lambda values: values[:, ::-1]),
    f"moved by {MOVED_VOXELS} voxels": _everywhere(lambda v: np.roll(v, MOVED_VOXELS, axis=1)),
    "lower half missing": _everywhere(_upper_half),
    f"brighter by {BRIGHTER:.0%} of the window": _within(lambda image, _mask: image + BRIGHTER),
    f"noise of {NOISE:.0%} of the window": _within(_noisy),
    "inverted": _within(lambda image, _mask: 1.0 - image),
}
