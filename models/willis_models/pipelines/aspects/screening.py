"""What must not be scored: suspected haemorrhage, metal, missing coverage."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from willis_models.findings import QualityItem
from willis_models.imaging.components import Mask, shrink_mask
from willis_models.pipelines.aspects.head import HeadInTemplate
from willis_models.pipelines.aspects.parameters import TissueParameters

EDGE_MM = 6.0
CALCIFIED_HU = 110.0


def screen(head: HeadInTemplate, limits: TissueParameters) -> Iterator[QualityItem]:
    """Quality items of the image content, on the network's grid."""
    yield _haemorrhage(head, limits)
    yield _metal(head, limits)


def _haemorrhage(head: HeadInTemplate, limits: TissueParameters) -> QualityItem:
    volume_ml = haemorrhage_like_ml(head, limits)
    suspected = volume_ml >= limits.haemorrhage_min_ml
    return QualityItem(
        code="HAEMORRHAGE_SUSPECTED" if suspected else "NO_HAEMORRHAGE_SUSPECTED",
        outcome="reject" if suspected else "pass",
        message=(
            "Hyperdense volume that may be haemorrhage; ASPECTS does not apply. Read the images."
            if suspected
            else "No bulky hyperdensity; this is not a haemorrhage detector."
        ),
        value=round(volume_ml, 2),
        unit="mL",
    )


def haemorrhage_like_ml(head: HeadInTemplate, limits: TissueParameters) -> float:
    """Volume of the largest hyperdense piece, away from the skull, that is not calcified."""
    spacing = head.grid.spacing_mm[0]
    deep: Mask = shrink_mask(head.brain, EDGE_MM / spacing)
    smooth = ndimage.gaussian_filter(head.hu, 1.0)
    labels, count = ndimage.label(deep & (smooth > limits.haemorrhage_above_hu))
    largest = 0
    for number in range(1, count + 1):
        piece = labels == number
        if float(np.quantile(head.hu[piece], 0.9)) < CALCIFIED_HU:
            largest = max(largest, int(piece.sum()))
    return largest * head.grid.voxel_ml


def _metal(head: HeadInTemplate, limits: TissueParameters) -> QualityItem:
    brain = max(int(head.brain.sum()), 1)
    filled = ndimage.binary_closing(head.brain, iterations=3)
    share = float((head.hu[filled] > limits.metal_above_hu).sum()) / brain
    bad = share > limits.metal_max_share
    return QualityItem(
        code="METAL" if bad else "NO_METAL",
        outcome="reject" if bad else "pass",
        message="Share of the brain's volume taken by metal.",
        value=round(share, 4),
        unit="1",
    )
