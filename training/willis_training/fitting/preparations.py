"""Preparation of a data set of one's own, with the same array functions that the service uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from willis_models.errors import InputError
from willis_models.imaging.resample import (
    bounding_grid,
    grid_points,
    resample_stack,
    sample_labels,
)
from willis_models.volume import Grid, SliceStack, Volume
from willis_training.datasets.base import Subject
from willis_training.datasets.loading import load_image, load_pair
from willis_training.fitting.samples import PreparedCase, parameters_digest

METHOD = "plain 1"
"""Changes with the code whenever the same parameters would give other bits."""


@dataclass(frozen=True)
class PlainPreparation:
    """Images of some roles as channels on one cubic, LPS-aligned grid, scaled.

    ``window`` (low, high) is clipped and scaled to [0, 1]; without one the voxels above 0 get
    mean 0 and SD 1, and the others stay 0, for stripped MR images. The first role carries the
    labels and decides the grid; what another image does not reach is ``fill``.
    """

    roles: tuple[str, ...]
    spacing_mm: float
    window: tuple[float, float] | None = None
    fill: float = 0.0

    @property
    def description(self) -> Mapping[str, Any]:
        """Method and parameters."""
        return {"method": METHOD, **asdict(self)}

    @property
    def digest(self) -> str:
        """Of method and parameters."""
        return parameters_digest(self.description)

    def __call__(self, subject: Subject) -> PreparedCase:
        """Raises InputError where an image is missing or lies on another grid than the labels."""
        first, labels = load_pair(subject, self.roles[0])
        grid = bounding_grid(SliceStack.from_volume(first), self.spacing_mm)
        images = [first, *(load_image(subject, role) for role in self.roles[1:])]
        points = grid_points(grid)
        return PreparedCase(
            image=np.stack([self._channel(image, grid) for image in images]),
            labels=sample_labels(labels.voxels, labels.grid, points),
            spacing_mm=grid.spacing_mm,
        )

    def _channel(self, image: Volume, grid: Grid) -> NDArray[np.float32]:
        values = resample_stack(SliceStack.from_volume(image), grid, self.fill).voxels
        if not np.isfinite(values).all():
            raise InputError("The image holds values that are no numbers.")
        return self._scale(values.astype(np.float32))

    def _scale(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.window is not None:
            low, high = self.window
            return np.clip((values - low) / (high - low), 0.0, 1.0).astype(np.float32)
        inside = values > 0
        if not inside.any():
            raise InputError("The image holds nothing above 0.")
        spread = float(values[inside].std()) or 1.0
        scaled = (values - float(values[inside].mean())) / spread
        return np.where(inside, scaled, 0.0).astype(np.float32)
