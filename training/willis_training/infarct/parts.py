"""Which prepared cases teach, which choose the weights, and which calibrate."""

from __future__ import annotations

from collections.abc import Sequence

from willis_training.fitting.samples import CaseStore
from willis_training.infarct.recipe import CHOOSING


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
