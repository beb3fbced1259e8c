"""Measures of how well a label map agrees with the truth: pure functions on arrays."""

from willis_training.metrics.lesions import (
    ATLAS,
    CHALLENGES,
    ISLES22,
    ISLES24,
    ISLES26,
    LesionRules,
    LesionScores,
    lesion_wise,
)
from willis_training.metrics.overlap import (
    dice,
    dice_by_class,
    generalised_dice,
    precision_recall_area,
    volume_ml,
)
from willis_training.metrics.surface import SurfaceDistances, surface_distances_mm

__all__ = [
    "ATLAS",
    "CHALLENGES",
    "ISLES22",
    "ISLES24",
    "ISLES26",
    "LesionRules",
    "LesionScores",
    "SurfaceDistances",
    "dice",
    "dice_by_class",
    "generalised_dice",
    "lesion_wise",
    "precision_recall_area",
    "surface_distances_mm",
    "volume_ml",
]
