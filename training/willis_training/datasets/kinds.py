"""The data sets that can be opened by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from willis_training.datasets.atlas_v2 import open_atlas_v2
from willis_training.datasets.base import SubjectSet
from willis_training.datasets.bids_derivative import open_bids_derivative
from willis_training.datasets.curated import open_curated
from willis_training.datasets.isles24.layout import open_isles24

KINDS: Mapping[str, Callable[[Path], SubjectSet]] = {
    "atlas-v2": open_atlas_v2,
    "curated": open_curated,
    "bids": open_bids_derivative,
    "isles24": open_isles24,
}


def open_data_set(kind: str, root: Path) -> SubjectSet:
    """Open a data set of a known kind.

    Raises ValueError for an unknown kind, FileNotFoundError where ``root`` holds none of it.
    """
    if kind not in KINDS:
        raise ValueError(f"Unknown kind of data set {kind!r}: choose one of {', '.join(KINDS)}.")
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is no folder.")
    return KINDS[kind](root)
