"""Lesion by lesion: the definitions of the public stroke challenges, as values.

Sources: ISLES'22 (ezequieldlrosa/isles22), ISLES'24 and ISLES'26 (panoptica, recognition quality),
ATLAS (npnl/atlas2_grand_challenge). Some versions of panoptica give a Dice of 0 where no pair of
lesions matched; here Dice is always that of the voxels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from willis_training.metrics.overlap import dice, precision_recall_area, same_shape


@dataclass(frozen=True)
class LesionRules:
    """What counts as one lesion and as a lesion found.

    ``neighbours`` make voxels one lesion. ``min_iou`` is what a one-to-one pair needs; None: one
    common voxel is enough, and several may share a partner. ``soft`` asks for the
    precision-recall area as well.
    """

    name: str
    neighbours: Literal[6, 26]
    min_iou: float | None = None
    volume_unit: Literal["mL", "voxels"] = "mL"
    soft: bool = False


ISLES26 = LesionRules("ISLES'26", 26, min_iou=0.25, soft=True)
ISLES24 = LesionRules("ISLES'24", 26, min_iou=0.20)
ISLES22 = LesionRules("ISLES'22", 26)
ATLAS = LesionRules("ATLAS", 6, volume_unit="voxels")
CHALLENGES = {rules.name: rules for rules in (ISLES26, ISLES24, ISLES22, ATLAS)}


@dataclass(frozen=True)
class LesionScores:
    """The figures of one challenge for one case; ``volume_difference`` in the rules' unit."""

    rules: str
    dice: float
    f1: float
    found_count: int
    truth_count: int
    true_positives: int
    false_positives: int
    false_negatives: int
    volume_difference: float
    pr_auc: float | None = None

    @property
    def count_difference(self) -> int:
        """Absolute difference of the numbers of lesions."""
        return abs(self.found_count - self.truth_count)


def lesion_wise(
    found: NDArray[Any],
    truth: NDArray[Any],
    rules: LesionRules,
    spacing_mm: Sequence[float] = (1.0, 1.0, 1.0),
    soft: NDArray[Any] | None = None,
) -> LesionScores:
    """Score a lesion mask by a challenge's rules; ``soft`` is the map that PR-AUC is taken from.

    F1 = TP / (TP + FP / 2 + FN / 2); F1 and Dice are 1 where both masks are empty. Without
    ``soft``, ``pr_auc`` is None whatever the rules ask for.
    """
    same_shape(found, truth)
    a, b = found > 0, truth > 0
    table = _contingency(a, b, rules.neighbours)
    hits, false, missed = _matches(table, rules.min_iou)
    total = hits + (false + missed) / 2
    difference = float(abs(int(a.sum()) - int(b.sum())))
    if rules.volume_unit == "mL":
        difference *= float(np.prod(spacing_mm)) / 1000.0
    return LesionScores(
        rules=rules.name,
        dice=dice(a, b),
        f1=hits / total if total else 1.0,
        found_count=table.shape[0] - 1,
        truth_count=table.shape[1] - 1,
        true_positives=hits,
        false_positives=false,
        false_negatives=missed,
        volume_difference=difference,
        pr_auc=precision_recall_area(soft, b) if rules.soft and soft is not None else None,
    )


def _contingency(
    found: NDArray[np.bool_], truth: NDArray[np.bool_], neighbours: int
) -> NDArray[np.int64]:
    """Common voxels of each found (rows) with each true component (columns); 0 is background."""
    structure = ndimage.generate_binary_structure(3, 1 if neighbours == 6 else 3)
    rows, row_count = ndimage.label(found, structure)
    columns, column_count = ndimage.label(truth, structure)
    pairs = rows.astype(np.int64) * (column_count + 1) + columns
    counts = np.bincount(pairs.ravel(), minlength=(row_count + 1) * (column_count + 1))
    return counts.reshape(row_count + 1, column_count + 1)


def _matches(table: NDArray[np.int64], min_iou: float | None) -> tuple[int, int, int]:
    """True positives, false positives and false negatives of a contingency table."""
    common = table[1:, 1:]
    found, truth = common.shape
    if min_iou is None:
        seen = int((common > 0).any(axis=0).sum())
        return seen, int((~(common > 0).any(axis=1)).sum()), truth - seen
    union = table[1:].sum(axis=1)[:, None] + table[:, 1:].sum(axis=0)[None] - common
    iou = common / np.maximum(union, 1)
    paired = _best_pairs(iou, min_iou)
    return paired, found - paired, truth - paired


def _best_pairs(iou: NDArray[np.float64], min_iou: float) -> int:
    """One-to-one pairs, the best first, as panoptica's threshold matching does."""
    rows, columns = np.nonzero(iou >= min_iou)
    taken_rows: set[int] = set()
    taken_columns: set[int] = set()
    for n in np.argsort(-iou[rows, columns], kind="stable"):
        row, column = int(rows[n]), int(columns[n])
        if row not in taken_rows and column not in taken_columns:
            taken_rows.add(row)
            taken_columns.add(column)
    return len(taken_rows)
