"""Overlap and volume of label maps, and the precision-recall area of soft maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Floats = NDArray[np.float64]


def same_shape(found: Array, truth: Array) -> None:
    """Raise ValueError where two maps don't lie on one grid."""
    if found.shape != truth.shape:
        raise ValueError(
            f"The maps lie on different grids: {found.shape} and {truth.shape}. Resample the "
            "found map to the truth's grid first."
        )


def dice(found: Array, truth: Array, empty: float = 1.0) -> float:
    """Dice of two masks (anything above 0 counts), 0-1; ``empty`` where both hold nothing."""
    same_shape(found, truth)
    a, b = found > 0, truth > 0
    total = int(a.sum()) + int(b.sum())
    return 2.0 * int((a & b).sum()) / total if total else empty


def dice_by_class(
    found: Array, truth: Array, labels: Sequence[int], empty: float = float("nan")
) -> Floats:
    """Dice of each of ``labels`` (n,) in two label maps; ``empty`` where neither map holds it."""
    both, in_found, in_truth = _counts(found, truth, labels)
    total = in_found + in_truth
    return np.where(total > 0, 2.0 * both / np.maximum(total, 1), empty)


def generalised_dice(found: Array, truth: Array, labels: Sequence[int]) -> float:
    """Generalised Dice score over ``labels``: each weighs 1 / (its true volume)^2.

    After Crum 2006 and Sudre 2017. A label that the truth lacks weighs as much as the smallest
    that it holds, as in MONAI. 1 where neither map holds a label, 0 where the found one does.
    """
    both, in_found, in_truth = _counts(found, truth, labels)
    held = in_truth > 0
    if not held.any():
        return 0.0 if in_found.any() else 1.0
    smallest = in_truth[held].min()
    weight = 1.0 / np.where(held, in_truth, smallest).astype(np.float64) ** 2
    return float(2.0 * (weight * both).sum() / (weight * (in_found + in_truth)).sum())


def _counts(
    found: Array, truth: Array, labels: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Voxels of each label in both maps, in the found one and in the true one."""
    same_shape(found, truth)
    top = max(labels) + 1
    wanted = np.asarray(labels)

    def count(values: Array) -> NDArray[np.int64]:
        whole = values[(values >= 0) & (values < top)].astype(np.int64)
        return np.asarray(np.bincount(whole, minlength=top)[wanted])

    return count(found[found == truth]), count(found), count(truth)


def volume_ml(mask: Array, spacing_mm: Sequence[float]) -> float:
    """Volume of a mask (anything above 0 counts) on voxels of ``spacing_mm`` (z, y, x)."""
    return float((mask > 0).sum() * np.prod(spacing_mm) / 1000.0)


def precision_recall_area(soft: Array, truth: Array) -> float:
    """Area under the precision-recall curve of a soft map, by trapezoids as ISLES'26 does.

    Where the truth is empty: 1 if the soft map is constant, else 0.
    """
    from sklearn.metrics import auc, precision_recall_curve

    same_shape(soft, truth)
    if not (truth > 0).any():
        return 1.0 if soft.min() == soft.max() else 0.0
    precision, recall, _ = precision_recall_curve(truth.ravel() > 0, soft.ravel())
    return float(auc(recall, precision))
