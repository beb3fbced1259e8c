"""Out-of-distribution score: how far an input lies from what the model learnt from.

The Mahalanobis distance of simple statistics of the prepared image, with the covariance shrunk
after Ledoit and Wolf (2004). The threshold is the 99th percentile of the training inputs, each
scored by a fit that did not see its group (head, person, site).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from willis_training.analysis.results import TrainingFeatures

Floats = NDArray[np.float64]
THRESHOLD_PERCENTILE = 99.0
MOST_FOLDS = 10
PERCENTILES = (1, 10, 25, 50, 75, 90, 99)
FEATURES = (
    *(f"percentile {p}" for p in PERCENTILES),
    "standard deviation",
    "gradient",
    "noise",
    "asymmetry",
    "share of the grid",
    "centre along z",
    "centre along y",
)


@dataclass(frozen=True)
class OutlierModel:
    """What training inputs look like: ``mean``, ``scale`` (f,), ``precision`` (f, f) scaled."""

    names: tuple[str, ...]
    mean: Floats
    scale: Floats
    precision: Floats
    threshold: float

    def distance(self, features: Floats) -> float:
        """Mahalanobis distance of one input's features (f,)."""
        off = (features - self.mean) / self.scale
        return float(np.sqrt(off @ self.precision @ off))

    def strangest(self, features: Floats) -> str:
        """The feature that is furthest from its training mean, in standard deviations."""
        off = (features - self.mean) / self.scale
        n = int(np.abs(off).argmax())
        return f"{self.names[n]} {off[n]:+.1f} SD"

    def flags(self, features: Floats) -> bool:
        """Whether an input lies further out than 99% of the training inputs."""
        return self.distance(features) > self.threshold


def image_features(image: NDArray[Any], mask: NDArray[np.bool_]) -> Floats:
    """``FEATURES`` of an image (z, y, x) inside a mask. Raises ValueError for an empty mask."""
    if not mask.any():
        raise ValueError("The mask is empty: there is nothing to describe.")
    values = image[mask].astype(np.float64)
    mirrored = image[:, :, ::-1]
    both = mask & mask[:, :, ::-1]
    centre = np.array(ndimage.center_of_mass(mask)) / np.array(mask.shape)
    return np.array(
        [
            *np.percentile(values, PERCENTILES),
            values.std(),
            ndimage.gaussian_gradient_magnitude(image.astype(np.float64), 1.0)[mask].mean(),
            np.median(np.abs(ndimage.laplace(image.astype(np.float64))[mask])),
            np.abs(image - mirrored)[both].mean() if both.any() else 0.0,
            mask.mean(),
            centre[0],
            centre[1],
        ]
    )


def fit_outliers(training: TrainingFeatures) -> OutlierModel:
    """Learn what training inputs look like. Raises ValueError where there are too few of them."""
    rows, columns = training.values.shape
    groups = np.unique(training.groups)
    if len(groups) < 2 or rows <= columns:
        raise ValueError(
            f"{rows} training inputs of {len(groups)} groups are too few for {columns} features."
        )
    folds = np.arange(len(groups)) % MOST_FOLDS
    distances = []
    for fold in np.unique(folds):
        held = np.isin(training.groups, groups[folds == fold])
        model = _fit(training.values[~held], training.names, threshold=np.inf)
        distances += [model.distance(row) for row in training.values[held]]
    threshold = float(np.percentile(distances, THRESHOLD_PERCENTILE))
    return _fit(training.values, training.names, threshold)


def _fit(values: Floats, names: tuple[str, ...], threshold: float) -> OutlierModel:
    from sklearn.covariance import LedoitWolf

    mean = values.mean(axis=0)
    scale = np.maximum(values.std(axis=0), 1e-9)
    fitted = LedoitWolf(assume_centered=True).fit((values - mean) / scale)
    return OutlierModel(names, mean, scale, np.asarray(fitted.precision_), threshold)
