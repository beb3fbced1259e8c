"""A drawn ISLES'24 tree, small enough for a unit test, and ways to spoil it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from willis_training.datasets.base import Subject
from willis_training.datasets.isles24.example import save
from willis_training.datasets.isles24.layout import open_isles24
from willis_training.datasets.isles24.registration import FileReport, registration_of


def path_of(train: Path, ending: str, case: str = "sub-stroke0001") -> Path:
    """The one file of a case with this ending."""
    (found,) = train.rglob(f"{case}_*{ending}")
    return found


def stored(path: Path) -> np.ndarray[Any, Any]:
    """Voxels of a drawn file as (z, y, x)."""
    return np.asarray(nib.load(path).dataobj).T.copy()


def subject_of(train: Path, case: str = "sub-stroke0001") -> Subject:
    return next(s for s in open_isles24(train).subjects() if s.subject_id == case)


def report_of(train: Path, role: str) -> FileReport:
    return next(r for r in registration_of(subject_of(train)) if r.role == role)


def spoil(train: Path, ending: str, change: Callable[[Any], Any], **geometry: Any) -> Path:
    """Write a file again with other voxels or another geometry."""
    path = path_of(train, ending)
    return save(path, change(stored(path)), **geometry)


def copy_of(tree: Path, folder: Path) -> Path:
    """A tree that a test may spoil."""
    return Path(shutil.copytree(tree, folder / "train"))
