"""What the network has to beat: two thresholds, and a logistic regression on the maps.

The thresholds (relative CBF under 30%, Tmax over 6 s) are the pipeline's own segments. The
regression looks at one voxel at a time; it is fitted on training cases, and its threshold is chosen
on validation cases. As a predictor it goes through the same pipeline as the network.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from willis_models.findings import ModelIdentity
from willis_training.fitting.samples import PreparedCase
from willis_training.metrics import dice

Floats = NDArray[np.float64]
VOXELS_A_CASE = 3000
THRESHOLDS = tuple(round(0.05 * n, 2) for n in range(1, 20))


@dataclass(frozen=True)
class VoxelRegression:
    """Probability of infarct from the values of one voxel; 0 outside the tissue.

    ``channels`` of the network's input that it reads, ``weights`` of their values and of their
    squares, ``offset``. Tissue is where the first of the channels is above 0.
    """

    channels: tuple[int, ...]
    weights: tuple[float, ...]
    offset: float
    threshold: float = 0.5

    @property
    def identity(self) -> ModelIdentity:
        """Stands where a network's name stands."""
        return ModelIdentity(
            name="voxelwise logistic regression",
            version="0.0.0",
            weights_sha256="",
            execution_provider="numpy",
        )

    def __call__(self, network_input: NDArray[np.float32]) -> NDArray[np.float32]:
        """(channels, z, y, x) to probabilities (background and infarct, z, y, x)."""
        values = _features(network_input, self.channels)
        logits = np.tensordot(np.array(self.weights), values, axes=1) + self.offset
        infarct = np.where(_tissue(network_input, self.channels), _sigmoid(logits), 0.0)
        return np.stack([1.0 - infarct, infarct]).astype(np.float32)


def fit_regression(cases: Iterable[PreparedCase], channels: Sequence[int]) -> VoxelRegression:
    """Fit on a seeded sample of every training case's tissue voxels.

    Raises ValueError where the sample holds no infarct, or nothing else.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    samples, truths = [], []
    for case in cases:
        where = np.flatnonzero(_tissue(case.image, channels))
        drawn = rng.choice(where, min(where.size, VOXELS_A_CASE), replace=False)
        samples.append(_features(case.image, channels).reshape(2 * len(channels), -1)[:, drawn].T)
        truths.append(case.labels.ravel()[drawn] > 0)
    if not truths or len(np.unique(np.concatenate(truths))) < 2:
        raise ValueError("The training cases need voxels with and without infarct.")
    scaler = StandardScaler().fit(np.concatenate(samples))
    model = LogisticRegression(max_iter=500)
    model.fit(scaler.transform(np.concatenate(samples)), np.concatenate(truths))
    weights = model.coef_[0] / scaler.scale_
    offset = float(model.intercept_[0] - (weights * scaler.mean_).sum())
    return VoxelRegression(tuple(channels), tuple(float(w) for w in weights), offset)


def with_best_threshold(
    regression: VoxelRegression, cases: Iterable[PreparedCase]
) -> VoxelRegression:
    """The threshold of the best mean Dice on validation cases; the lower of equal ones."""
    by_case = []
    for case in cases:
        probability, truth = regression(case.image)[1], case.labels > 0
        by_case.append([dice(probability >= threshold, truth) for threshold in THRESHOLDS])
    if not by_case:
        raise ValueError("The threshold needs at least one validation case.")
    best = int(np.argmax(np.mean(by_case, axis=0)))
    return VoxelRegression(
        regression.channels, regression.weights, regression.offset, THRESHOLDS[best]
    )


def save_regression(regression: VoxelRegression, path: Path) -> None:
    """Write the regression as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(regression), indent=1) + "\n", encoding="utf-8")


def load_regression(path: Path) -> VoxelRegression:
    """Read what ``save_regression`` wrote."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return VoxelRegression(
        tuple(content["channels"]),
        tuple(content["weights"]),
        content["offset"],
        content["threshold"],
    )


def _tissue(image: NDArray[Any], channels: Sequence[int]) -> NDArray[np.bool_]:
    return np.asarray(image[channels[0]] > 0)


def _features(image: NDArray[Any], channels: Sequence[int]) -> Floats:
    """Values and their squares (2 n, z, y, x): risk rises at both ends of some maps."""
    values = image[list(channels)].astype(np.float64)
    return np.concatenate([values, values**2])


def _sigmoid(logits: Floats) -> Floats:
    return 1.0 / (1.0 + np.exp(-np.clip(logits, -50.0, 50.0)))
