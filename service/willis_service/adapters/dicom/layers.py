"""The label maps of an analysis: segments of one layer exclude each other, layers may overlap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from willis_models.errors import ResultError
from willis_models.pipelines.base import Analysis

Labels = NDArray[np.uint8]


def layers_of(analysis: Analysis) -> tuple[Labels, ...]:
    """Every label map (z, y, x), that of the excluding segments first. Raises ResultError."""
    if analysis.labels is None:
        raise ResultError("There is no label map.")
    layers = (analysis.labels, *analysis.overlays)
    if any(layer.shape != analysis.labels.shape for layer in layers):
        raise ResultError("The label maps of one result have different shapes.")
    numbers = [set(np.unique(layer).tolist()) - {0} for layer in layers]
    if sum(map(len, numbers)) != len(set().union(*numbers)):
        raise ResultError("Two label maps of one result hold the same segment.")
    return layers


def mask_of(layers: Sequence[Labels], number: int) -> NDArray[np.bool_]:
    """Where a segment is, in whichever layer it lies."""
    return np.asarray(np.any([layer == number for layer in layers], axis=0))


def stacked(layers: Sequence[Labels], count: int) -> Labels:
    """One layer as it is; several as one mask a segment, (z, y, x, segment), numbered from 1."""
    if len(layers) == 1:
        return layers[0]
    masks = [mask_of(layers, number) for number in range(1, count + 1)]
    return np.stack(masks, axis=-1).astype(np.uint8)
