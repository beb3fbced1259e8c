"""Large arteries and veins, drawn into a head along centre lines given in MNI space.

Arteries are tubes; the sinuses fill the space between brain and bone at the midline and behind.
Centre lines are read from anatomy, in millimetres of RAS as atlases print them, for the right
hemisphere (x > 0) where they are paired; no open atlas of vessels was used.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from willis_training.curation.label_codes import CSF_CODES, PARENCHYMA_CODES
from willis_training.simulation.anatomy import Anatomy, to_fine
from willis_training.simulation.tissue import BLOOD, membership

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Point = tuple[float, float, float]

FULL = 255
"""A voxel's value where it lies wholly inside a vessel."""

LEFT_M1, RIGHT_M1 = 1, 2
_NEAR_MM = 7.0
_SINUS_DEPTH_MM = 5.5


@dataclass(frozen=True)
class Tube:
    """A vessel: its centre line in MNI (RAS mm) and its radius."""

    name: str
    line: tuple[Point, ...]
    radius_mm: float
    paired: bool = True


TUBES = (
    Tube("internal carotid", ((22, -16, -62), (18, -10, -38), (13, -2, -32), (15, 4, -19)), 2.4),
    Tube("M1", ((15, 4, -19), (24, 5, -18), (34, 3, -15)), 1.8),
    Tube("M2 superior", ((34, 3, -15), (40, 10, -6), (42, 12, 6), (46, 6, 16), (50, 0, 28)), 1.4),
    Tube("M2 inferior", ((34, 3, -15), (42, -8, -6), (45, -22, 6), (50, -36, 16), (52, -50, 26)),
         1.4),
    Tube("M3 temporal", ((42, -8, -6), (54, -12, -8), (60, -24, -2)), 1.1),
    Tube("A1", ((15, 4, -19), (8, 10, -18), (3, 14, -16)), 1.4),
    Tube("A2 to pericallosal", ((3, 14, -16), (3, 28, -8), (3, 38, 6), (3, 34, 20), (3, 18, 30),
                                (3, -4, 34), (3, -26, 34)), 1.4),
    Tube("P1 to P3", ((1, -17, -20), (10, -16, -19), (22, -26, -14), (22, -38, -6),
                      (14, -58, 0), (10, -76, 6)), 1.3),
    Tube("basilar", ((0, -24, -52), (0, -20, -36), (0, -17, -20)), 1.9, paired=False),
)  # fmt: skip


@dataclass(frozen=True)
class Vessels:
    """Shares of each voxel (z, y, x) inside arteries and veins, 0-255, and where M1 and M2 lie.

    ``trunk``: `LEFT_M1` or `RIGHT_M1` in the trunk of that middle cerebral artery, else 0.
    """

    artery: Bytes
    vein: Bytes
    trunk: Bytes


def draw_vessels(anatomy: Anatomy) -> Vessels:
    """Arteries and veins on the head's 1-mm grid."""
    shape = anatomy.grid.shape
    inside = membership((*PARENCHYMA_CODES, *CSF_CODES, *BLOOD))[anatomy.labels] > 0
    artery = np.zeros(shape, np.float32)
    trunk = np.zeros(shape, np.uint8)
    for tube in TUBES:
        for side in (1, -1) if tube.paired else (1,):
            where, distance = _distances(anatomy, tube, side)
            share = np.clip(tube.radius_mm - distance + 0.5, 0.0, 1.0)
            np.maximum.at(artery, where, share)
            if tube.name == "M1":
                hit = tuple(axis[share > 0] for axis in where)
                trunk[hit] = RIGHT_M1 if side > 0 else LEFT_M1
    vein = _sinuses(anatomy, inside)
    vein = np.where(artery > 0, 0.0, vein)
    return Vessels(_bytes(artery), _bytes(vein), trunk)


def _distances(
    anatomy: Anatomy, tube: Tube, side: int
) -> tuple[tuple[NDArray[np.int64], ...], Floats]:
    """Fine voxels near one tube, and their distance to its centre line in MNI mm."""
    ras = np.array(tube.line, dtype=np.float32) * np.array([side, 1, 1], dtype=np.float32)
    line = ras * np.array([-1, -1, 1], dtype=np.float32)
    mni = anatomy.head.mni_lps
    box = np.argwhere(((mni > line.min(0) - _NEAR_MM) & (mni < line.max(0) + _NEAR_MM)).all(-1))
    near = box[_to_line(mni[tuple(box.T)], line) < _NEAR_MM]
    corners = np.indices((2, 2, 2)).reshape(3, -1).T
    fine = (near[:, None] * 2 + corners).reshape(-1, 3)
    fine = fine[(fine < np.array(anatomy.grid.shape)).all(-1)]
    found = [
        ndimage.map_coordinates(mni[..., axis], fine.T / 2.0, order=1, mode="nearest")
        for axis in range(3)
    ]
    k, j, i = fine.T
    return (k, j, i), _to_line(np.stack(found, axis=-1), line)


def _to_line(points: Floats, line: Floats) -> Floats:
    """Distance (n,) of points (n, 3) to a chain of segments (m, 3)."""
    best = np.full(len(points), np.inf, np.float32)
    for start, end in pairwise(line):
        along = end - start
        share = np.clip((points - start) @ along / float(along @ along), 0.0, 1.0)
        foot = start + share[:, None] * along
        best = np.minimum(best, np.linalg.norm(points - foot, axis=1)).astype(np.float32)
    return best


def _sinuses(anatomy: Anatomy, inside: NDArray[np.bool_]) -> Floats:
    """Superior sagittal sinus, its confluence and the transverse sinuses, as shares 0 to 1."""
    mni = anatomy.head.mni_lps
    off_midline = np.abs(mni[..., 0])
    behind, up = mni[..., 1], mni[..., 2]
    coarse = np.maximum.reduce(
        [
            _slot(4.5 - off_midline, (up > 2.0) | ((behind > 75.0) & (up > -14.0))),
            _slot(8.0 - off_midline, (behind > 80.0) & (np.abs(up + 12.0) < 10.0)),
            _slot(4.0 - np.abs(up + 16.0), (behind > 40.0) & (off_midline < 60.0)),
        ]
    )
    depth = _SINUS_DEPTH_MM - anatomy.bone_distance_mm
    reach = to_fine(np.minimum(coarse, depth).astype(np.float32), anatomy.grid.shape)
    return np.where(inside, np.clip(reach + 0.5, 0.0, 1.0), 0.0).astype(np.float32)


def _slot(reach_mm: NDArray[Any], allowed: NDArray[np.bool_]) -> Floats:
    return np.where(allowed, np.clip(reach_mm, -9.0, 9.0), -9.0).astype(np.float32)


def _bytes(share: Floats) -> Bytes:
    return np.rint(share * FULL).astype(np.uint8)
