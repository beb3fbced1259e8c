"""The head as the rest of the pipeline sees it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from willis_models.imaging.components import Mask
from willis_models.imaging.midplane import Midplane, midplane_of, symmetry
from willis_models.imaging.register import Registration
from willis_models.volume import Grid


@dataclass(frozen=True)
class HeadInTemplate:
    """The head on the network's grid in MNI space.

    ``hu`` (z, y, x) attenuation; ``brain`` the brain mask; ``covered`` where the scan reached;
    ``registration`` native world to MNI world; ``brain_ml`` the brain's native volume.
    """

    grid: Grid
    hu: NDArray[np.float32]
    brain: Mask
    covered: Mask
    registration: Registration
    brain_ml: float

    @cached_property
    def midplane(self) -> Midplane:
        """The plane between the hemispheres in the scan's world."""
        return midplane_of(self.registration.to_template)

    @cached_property
    def symmetry(self) -> float:
        """Correlation of the scanned brain with its mirror image."""
        return symmetry(self.hu, self.brain & self.covered, self.grid)
