"""The features of a region, by name, and the sets of them that are compared.

HU come from the service's own ``measure`` and ``classify``, so that a model chosen here can be
served; shape and texture are measured on the same voxels. Differences are mirror minus own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from willis_models.pipelines.aspects.features import (
    FEATURES,
    RegionEvidence,
    measure,
    mirror_of,
)
from willis_models.pipelines.aspects.head import HeadInTemplate
from willis_models.pipelines.aspects.parameters import TissueParameters
from willis_models.pipelines.aspects.tissue import classify
from willis_training.scores import texture
from willis_training.scores.shape import SHAPE, shape_of

HU: tuple[str, ...] = (
    "own_mean_hu",
    "own_median_hu",
    "difference_hu",
    "median_difference_hu",
    "ratio_deficit",
    "own_mean_below_brain_hu",
)
"""Mean, median, asymmetry and drop: what a reader compares."""

_BOTH_SIDES: tuple[str, ...] = (
    *(f"first_order_{name}" for name in texture.FIRST_ORDER),
    *(f"co_occurrence_{name}" for name in texture.CO_OCCURRENCE),
    "pattern_entropy_bits",
    "pattern_uniform_share",
    *(f"shape_{name}" for name in SHAPE),
)
SHAPE_AND_TEXTURE: tuple[str, ...] = (
    *_BOTH_SIDES,
    *(f"{name}_difference" for name in _BOTH_SIDES),
    "pattern_distance",
)

FEATURE_SETS: Mapping[str, tuple[str, ...]] = {
    "hu": HU,
    "hu_shape_texture": HU + SHAPE_AND_TEXTURE,
    "service": FEATURES,
    "service_shape_texture": FEATURES + SHAPE_AND_TEXTURE,
}
"""``service`` is what the shipped bundle uses; it looks at the side's other regions too."""

ALL_FEATURES: tuple[str, ...] = tuple(dict.fromkeys((*FEATURES, *HU, *SHAPE_AND_TEXTURE)))

Named = dict[str, float]


def measure_regions(
    head: HeadInTemplate, labels: NDArray[np.uint8], limits: TissueParameters
) -> list[tuple[RegionEvidence, Named]]:
    """Every assessable region (labels 1-20) with all its features by name."""
    evidence = measure(head, labels, limits)
    tissue = classify(head.hu, head.brain, head.covered, labels > 0, head.grid.voxel_ml, limits)
    assessable = [item for item in evidence if item.features is not None]
    wanted = {n for item in assessable for n in (item.label, mirror_of(item.label))}
    spacing: Any = head.grid.spacing_mm
    looks = {n: _look(head.hu, labels == n, tissue.counted, spacing) for n in wanted}
    return [(item, _all_features(item, looks)) for item in assessable]


def _all_features(item: RegionEvidence, looks: Mapping[int, _Look]) -> Named:
    assert item.features is not None  # narrowed by the caller: only assessable regions come here
    own, mirror = looks[item.label], looks[mirror_of(item.label)]
    named = dict(zip(FEATURES, map(float, item.features), strict=True))
    named |= {"own_mean_hu": float(item.mean_hu or 0.0), "own_median_hu": own.median_hu}
    named |= own.named
    named |= {f"{key}_difference": mirror.named[key] - own.named[key] for key in _BOTH_SIDES}
    named["pattern_distance"] = float(np.abs(mirror.patterns - own.patterns).sum() / 2)
    return named


@dataclass(frozen=True)
class _Look:
    """Shape and texture of one region, without its mirror."""

    median_hu: float
    named: Named
    patterns: NDArray[np.float64]


def _look(
    hu: NDArray[np.float32],
    region: NDArray[np.bool_],
    counted: NDArray[np.bool_],
    spacing_mm: tuple[float, float, float],
) -> _Look:
    mask = region & counted
    values = hu[mask]
    patterns = texture.local_patterns(hu, mask)
    parts = {
        "first_order": texture.first_order(values),
        "co_occurrence": texture.co_occurrence(hu, mask),
        "pattern": {
            "entropy_bits": texture.entropy_bits(patterns),
            "uniform_share": float(patterns[:-1].sum()),
        },
        "shape": shape_of(region, spacing_mm),
    }
    named = {f"{part}_{key}": v for part, found in parts.items() for key, v in found.items()}
    return _Look(float(np.median(values)), named, patterns)
