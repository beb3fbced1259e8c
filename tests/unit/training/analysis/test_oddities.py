from __future__ import annotations

import numpy as np
import pytest

from tests.unit.training.analysis.made_up_results import image, training_features, truth
from willis_training.analysis.oddities import ODDITIES, Prepared, make_odd
from willis_training.analysis.outliers import fit_outliers, image_features


def ordinary() -> Prepared:
    labels = truth()
    labels[3, 4, 4:8] = 1  # nothing about it is symmetric
    return Prepared(image(1), labels > 0, labels)


@pytest.mark.parametrize("oddity", ODDITIES)
def test_every_oddity_keeps_its_promises(oddity: str) -> None:
    before = ordinary()
    odd = make_odd(before, oddity)
    assert odd.image.dtype == np.float32 and odd.image.shape == before.image.shape
    assert not np.array_equal(odd.image, before.image)
    np.testing.assert_array_equal(odd.mask, odd.truth > 0)
    np.testing.assert_array_equal(before.image, ordinary().image)


def test_a_change_of_brightness_leaves_the_truth_and_the_surroundings() -> None:
    odd = make_odd(ordinary(), "inverted")
    np.testing.assert_array_equal(odd.truth, ordinary().truth)
    outside = ~ordinary().mask
    np.testing.assert_array_equal(odd.image[outside], ordinary().image[outside])


def test_a_brighter_noisier_or_inverted_image_is_flagged() -> None:
    model = fit_outliers(training_features())
    for oddity in ODDITIES:
        if oddity.startswith(("brighter", "noise", "inverted")):
            odd = make_odd(Prepared(image(1), truth() > 0, truth()), oddity)
            assert model.flags(image_features(odd.image, odd.mask)), oddity
