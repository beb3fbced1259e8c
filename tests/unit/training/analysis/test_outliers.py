from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.unit.training.analysis.made_up_results import image, training_features, truth
from willis_training.analysis.outliers import FEATURES, fit_outliers, image_features


def test_inputs_like_the_training_ones_pass_and_a_brighter_one_is_flagged_with_its_reason() -> None:
    model = fit_outliers(training_features())
    inside = [image_features(image(900 + n), truth() > 0) for n in range(20)]
    assert sum(model.flags(features) for features in inside) <= 2
    bright = image_features(image(950, 0.3), truth() > 0)
    assert model.flags(bright)
    assert "percentile" in model.strangest(bright) and "+" in model.strangest(bright)


def test_half_the_image_is_noticed_by_its_place() -> None:
    model = fit_outliers(training_features())
    lower = (truth() > 0) & (np.arange(12)[:, None, None] < 6)
    assert model.flags(image_features(image(3), lower))


def test_the_threshold_comes_from_groups_that_the_fit_did_not_see() -> None:
    features = training_features()
    seen_all = fit_outliers(features)
    own = np.percentile([seen_all.distance(row) for row in features.values], 99)
    assert seen_all.threshold > own


def test_features_have_their_names_and_an_empty_mask_has_none() -> None:
    assert image_features(image(1), truth() > 0).shape == (len(FEATURES),)
    with pytest.raises(ValueError, match="mask is empty"):
        image_features(image(1), truth() > 9)


def test_too_few_training_inputs_are_refused() -> None:
    few = training_features(10)
    with pytest.raises(ValueError, match="too few"):
        fit_outliers(few)
    one_group = dataclasses.replace(training_features(), groups=np.array(["head"] * 60))
    with pytest.raises(ValueError, match="too few"):
        fit_outliers(one_group)
