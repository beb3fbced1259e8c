from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.models.pipelines.aspects.heads import added, healthy_head, region_labels
from willis_models.pipelines.aspects.features import FEATURES, measure
from willis_models.pipelines.aspects.head import HeadInTemplate
from willis_models.pipelines.aspects.parameters import TissueParameters
from willis_training.aspects import recipe
from willis_training.scores.features import (
    ALL_FEATURES,
    FEATURE_SETS,
    SHAPE_AND_TEXTURE,
    measure_regions,
)

LIMITS = TissueParameters(**recipe.TISSUE)
LABELS = region_labels()


def named(head: HeadInTemplate, label: int) -> dict[str, float]:
    return {item.label: found for item, found in measure_regions(head, LABELS, LIMITS)}[label]


def test_every_region_has_every_feature() -> None:
    found = measure_regions(healthy_head(), LABELS, LIMITS)
    assert [item.label for item, _ in found] == list(range(1, 21))
    for _, features in found:
        assert set(features) == set(ALL_FEATURES)
        assert np.isfinite(list(features.values())).all()


def test_the_services_features_are_the_services_own() -> None:
    head = added(healthy_head(), LABELS == 3, -4.0)
    expected = {item.label: item.features for item in measure(head, LABELS, LIMITS)}[3]
    assert [named(head, 3)[name] for name in FEATURES] == pytest.approx(expected)


def test_the_sets_without_texture_are_within_those_with_it() -> None:
    for name in ("hu", "service"):
        richer = FEATURE_SETS[f"{name}_shape_texture"]
        assert set(richer) - set(FEATURE_SETS[name]) == set(SHAPE_AND_TEXTURE)


def test_a_darker_region_is_found_by_its_mean_and_median() -> None:
    found = named(added(healthy_head(), LABELS == 5, -6.0), 5)
    assert found["own_mean_hu"] == pytest.approx(28.0, abs=0.3)
    assert found["own_median_hu"] == pytest.approx(28.0, abs=0.3)
    assert found["difference_hu"] == pytest.approx(6.0, abs=0.3)


def test_differences_of_texture_have_opposite_signs_on_the_two_sides() -> None:
    rng = np.random.default_rng(3)
    head = healthy_head()
    noise = rng.normal(0.0, 4.0, head.hu.shape).astype(np.float32)
    rough = replace(head, hu=np.where(LABELS == 7, head.hu + noise, head.hu))
    own, mirror = named(rough, 7), named(rough, 17)
    for name in ("first_order_sd_hu", "co_occurrence_contrast", "shape_volume_ml"):
        assert own[f"{name}_difference"] == pytest.approx(-mirror[f"{name}_difference"])
    assert own["first_order_sd_hu_difference"] < -2.0
    assert own["pattern_distance"] == pytest.approx(mirror["pattern_distance"])
