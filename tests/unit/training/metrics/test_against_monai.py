"""An independent implementation gives the same figures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.metrics import (
    compute_average_surface_distance,
    compute_generalized_dice,
    compute_hausdorff_distance,
    compute_surface_dice,
)
from scipy import ndimage

from willis_training.metrics import generalised_dice, surface_distances_mm

# MONAI's own call of its own deprecated option.
pytestmark = pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")

SPACING_MM = (3.0, 1.0, 0.8)


def blob(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((16, 20, 24))
    smooth = ndimage.gaussian_filter(noise, 3)
    return smooth > np.percentile(smooth, 85)


def one_hot(*masks: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack(masks)[None].astype(np.float32))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_surface_distances_are_those_of_monai(seed: int) -> None:
    a, b = blob(seed), np.roll(blob(seed), 2, axis=1) | blob(seed + 10)
    ours = surface_distances_mm(a, b, SPACING_MM, tolerance_mm=2.0)
    settings = {"include_background": True, "spacing": SPACING_MM}
    first, second = one_hot(a), one_hot(b)
    hd95 = compute_hausdorff_distance(first, second, percentile=95, **settings)
    mean = compute_average_surface_distance(first, second, symmetric=True, **settings)
    shared = compute_surface_dice(first, second, class_thresholds=[2.0], **settings)
    assert ours.hd95_mm == pytest.approx(float(hd95), rel=1e-5)
    assert ours.mean_mm == pytest.approx(float(mean), rel=1e-5)
    assert ours.nsd == pytest.approx(float(shared), rel=1e-5)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_generalised_dice_is_that_of_monai(seed: int) -> None:
    truth = np.where(blob(seed), 1, 0) + np.where(blob(seed + 20) & ~blob(seed), 2, 0)
    found = np.roll(truth, 2, axis=2)
    theirs = compute_generalized_dice(
        one_hot(*(found == n for n in range(3))),
        one_hot(*(truth == n for n in range(3))),
        include_background=False,
        sum_over_classes=True,
    )
    assert generalised_dice(found, truth, (1, 2)) == pytest.approx(float(theirs), rel=1e-4)
