"""A head as the perfusion simulator scans it: labels with vessels, and the brain's place."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from willis_models.volume import Grid
from willis_training.curation.label_codes import PARENCHYMA_CODES
from willis_training.simulation.anatomy import Anatomy
from willis_training.simulation.ctp.vessels import Bytes, draw_vessels
from willis_training.simulation.tissue import EYE, SOFT, membership

COARSE_STEP = 2
"""Coarse maps (strokes, random fields) lie on every second voxel of the head's grid."""

ORBITAL_FAT = 600
"""A label of our own: the maps know the eye, but not the fat behind it."""

_ORBIT_MM = 10.0
_CENTRE_MNI_LPS = (0.0, 15.0, 14.0)
"""Where slabs are centred: basal ganglia and lateral ventricles."""


@dataclass(frozen=True)
class PerfusionHead:
    """Labels (z, y, x) of SynthSeg with their affine to LPS mm, and the vessels (see `Vessels`).

    ``centre_lps`` the middle that slabs are placed by; ``anatomy`` by which the head's shape is
    changed from scan to scan, None where it is to stay.
    """

    name: str
    labels: NDArray[np.uint16]
    affine_lps: NDArray[np.float64]
    artery: Bytes
    vein: Bytes
    trunk: Bytes
    centre_lps: NDArray[np.float64]
    anatomy: Anatomy | None = field(default=None, repr=False)

    @cached_property
    def grid(self) -> Grid:
        """The grid of the labels."""
        z, y, x = self.labels.shape
        return Grid((z, y, x), self.affine_lps)

    @cached_property
    def coarse_shape(self) -> tuple[int, int, int]:
        """Shape of the coarse maps."""
        z, y, x = self.labels[::COARSE_STEP, ::COARSE_STEP, ::COARSE_STEP].shape
        return z, y, x

    @cached_property
    def coarse_mm(self) -> float:
        """Spacing of the coarse maps."""
        return self.grid.spacing_mm[0] * COARSE_STEP

    @cached_property
    def brain(self) -> NDArray[np.bool_]:
        """Brain tissue without CSF, coarse."""
        step = slice(None, None, COARSE_STEP)
        return membership(PARENCHYMA_CODES)[self.labels[step, step, step]] > 0

    @cached_property
    def brain_points_lps(self) -> NDArray[np.float64]:
        """Some points (n, 3) of the brain, LPS mm."""
        return self.grid.to_world(np.argwhere(self.brain)[::50] * float(COARSE_STEP))


def perfusion_head(anatomy: Anatomy) -> PerfusionHead:
    """Give an anatomy its vessels (a few seconds)."""
    vessels = draw_vessels(anatomy)
    return PerfusionHead(
        name=anatomy.head.name,
        labels=_with_orbital_fat(anatomy.labels),
        affine_lps=anatomy.head.affine_lps,
        artery=vessels.artery,
        vein=vessels.vein,
        trunk=vessels.trunk,
        centre_lps=_centre(anatomy),
        anatomy=anatomy,
    )


def _with_orbital_fat(labels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Soft tissue around the eyes becomes fat, as it is on every CT."""
    step = slice(None, None, COARSE_STEP)
    eye = membership(EYE)[labels[step, step, step]] > 0
    near = ndimage.distance_transform_edt(~eye) * COARSE_STEP <= _ORBIT_MM
    near = near.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    near = near[: labels.shape[0], : labels.shape[1], : labels.shape[2]]
    return np.where(near & (membership(SOFT)[labels] > 0), ORBITAL_FAT, labels).astype(np.uint16)


def _centre(anatomy: Anatomy) -> NDArray[np.float64]:
    """The head's position, LPS mm, of the middle that slabs are placed by."""
    distance = np.linalg.norm(anatomy.head.mni_lps - np.array(_CENTRE_MNI_LPS), axis=-1)
    smooth = ndimage.uniform_filter(distance, 3)
    index = np.array(np.unravel_index(int(smooth.argmin()), smooth.shape), dtype=float)
    return anatomy.grid.to_world(index * COARSE_STEP)
