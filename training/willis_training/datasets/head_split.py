"""Which heads teach, which choose, which only judge. A mirrored head counts as the same head."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Part = Literal["train", "validation", "test"]

TEST_HEADS = ("head_04", "head_12", "head_18")
VALIDATION_HEADS = ("head_07",)


def part_of(head_name: str) -> Part:
    """The part that a head belongs to."""
    if head_name in TEST_HEADS:
        return "test"
    return "validation" if head_name in VALIDATION_HEADS else "train"


def heads_of(folder: Path, *parts: Part) -> list[Path]:
    """Prepared heads (``head_NN.npz``) of the given parts, sorted."""
    return [path for path in sorted(folder.glob("head_*.npz")) if part_of(path.stem) in parts]
