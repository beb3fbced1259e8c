"""A head ready to be scanned: its labels, and the maps that are derived from them once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from willis_models.volume import Grid
from willis_training.curation.heads import Head
from willis_training.curation.label_codes import CSF_CODES, PARENCHYMA_CODES
from willis_training.simulation.tissue import BLOOD, DIPLOE, SKULL, WHITE, membership

LATERAL_VENTRICLES = (4, 43)
FAR_MM = 60.0
HULL_MM, DURA_DEPTH_MM, SHEET_MM = 10.0, 5.0, 3.0
DURA = 502


@dataclass(frozen=True)
class Anatomy:
    """A head and its derived maps; coarse maps lie on every second voxel of the head's grid."""

    head: Head

    @cached_property
    def grid(self) -> Grid:
        """The 1-mm grid of the labels."""
        z, y, x = self.head.labels.shape
        return Grid((z, y, x), self.head.affine_lps)

    @cached_property
    def labels(self) -> NDArray[np.uint16]:
        """The head's labels, with falx and tentorium as dura: the maps call them bone."""
        return _dura_not_bone(self.head.labels)

    @cached_property
    def regions(self) -> NDArray[np.uint8]:
        """ASPECTS regions 0-20 where there is brain or its CSF, never bone or scalp."""
        inside = membership((*PARENCHYMA_CODES, *CSF_CODES, *BLOOD))[self.labels] > 0
        return np.where(inside, self.head.regions, 0).astype(np.uint8)

    @cached_property
    def coarse_labels(self) -> NDArray[np.uint16]:
        """Every second label."""
        return self.labels[::2, ::2, ::2]

    @cached_property
    def bone_distance_mm(self) -> NDArray[np.float32]:
        """Distance to the skull, coarse."""
        return self._distance_to((*SKULL, *DIPLOE))

    @cached_property
    def ventricle_distance_mm(self) -> NDArray[np.float32]:
        """Signed distance to the lateral ventricles, coarse: negative inside."""
        inside = membership(LATERAL_VENTRICLES)[self.coarse_labels] > 0
        outside = ndimage.distance_transform_edt(~inside)
        signed = 2.0 * (outside - ndimage.distance_transform_edt(inside))
        return np.asarray(np.clip(signed, -FAR_MM, FAR_MM), dtype=np.float32)

    @cached_property
    def ventricle_push(self) -> NDArray[np.float32]:
        """Unit vectors (3, z, y, x) away from the ventricles, fading over 15 mm, coarse."""
        smooth = ndimage.gaussian_filter(self.ventricle_distance_mm, 2.0)
        direction = np.stack(np.gradient(smooth, 2.0))
        length = np.maximum(np.linalg.norm(direction, axis=0), 1e-3)
        fade = np.exp(-np.abs(smooth) / 15.0)
        return np.asarray(direction / length * fade, dtype=np.float32)

    @cached_property
    def white(self) -> NDArray[np.bool_]:
        """White matter, coarse."""
        return membership(WHITE)[self.coarse_labels] > 0

    @cached_property
    def parenchyma(self) -> NDArray[np.bool_]:
        """Brain tissue without CSF, coarse."""
        return membership(PARENCHYMA_CODES)[self.coarse_labels] > 0

    def _distance_to(self, codes: tuple[int, ...]) -> NDArray[np.float32]:
        found = membership(codes)[self.coarse_labels] > 0
        distance = 2.0 * ndimage.distance_transform_edt(~found)
        return np.asarray(np.minimum(distance, FAR_MM), dtype=np.float32)


def _dura_not_bone(labels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Thin sheets of "bone" inside the brain's hull become dura, painted like blood."""
    bone = membership((*SKULL, *DIPLOE))[labels] > 0
    inside = membership((*PARENCHYMA_CODES, *CSF_CODES))[labels[::2, ::2, ::2]] > 0
    hull = ndimage.distance_transform_edt(~inside) <= HULL_MM / 2
    hull = ndimage.distance_transform_edt(hull) > (HULL_MM + DURA_DEPTH_MM) / 2
    deep = np.repeat(np.repeat(np.repeat(hull, 2, 0), 2, 1), 2, 2)
    deep = deep[: labels.shape[0], : labels.shape[1], : labels.shape[2]]
    thick = ndimage.distance_transform_edt(bone) > SHEET_MM
    thick = ndimage.distance_transform_edt(~thick) <= SHEET_MM + 1.0
    dura = labels.copy()
    dura[bone & deep & ~thick] = DURA
    return dura


def pull_from_mni(
    mask: NDArray[np.bool_], affine_lps: NDArray[np.float64], mni_lps: NDArray[np.float32]
) -> NDArray[np.float32]:
    """A mask in MNI space seen at a head's MNI positions (z, y, x, 3): 0 to 1, linear."""
    z, y, x = mask.shape
    index = Grid((z, y, x), affine_lps).to_index(mni_lps)
    pulled = ndimage.map_coordinates(
        mask.astype(np.float32), np.moveaxis(index, -1, 0), order=1, output=np.float32
    )
    return np.asarray(pulled)


def to_fine(coarse: NDArray[np.float32], shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """A coarse map (every second voxel) back on the 1-mm grid of ``shape``, linear."""
    fine = coarse
    for axis in range(3):
        fine = _double(fine, axis, shape[axis])
    return fine


def _double(values: NDArray[np.float32], axis: int, length: int) -> NDArray[np.float32]:
    moved = np.moveaxis(values, axis, 0)
    fine = np.empty((length, *moved.shape[1:]), dtype=np.float32)
    fine[::2] = moved[: (length + 1) // 2]
    following = np.concatenate([moved[1:], moved[-1:]])[: length // 2]
    fine[1::2] = (moved[: length // 2] + following) / 2
    return np.moveaxis(fine, 0, axis)
