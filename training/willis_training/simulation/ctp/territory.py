"""Real lesions and arterial territories, carried from MNI space into a head."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from willis_models.volume import Volume
from willis_training.curation.nifti import read_nifti
from willis_training.datasets.lesions import LesionBank
from willis_training.simulation.anatomy import Anatomy, pull_from_mni

ATLAS = "Tatu_ACA_MCA_PCA_Prox_Med_Dist.nii.gz"
"""Labels 1-3 anterior, 4-6 middle, 7-9 posterior cerebral artery (Tatu 1998, CC BY 4.0)."""

LEAST_ML = 1.5
_LABELS_AN_ARTERY = 3
_REACH_MM = 12.0


def read_territories(data: Path) -> Volume:
    """The atlas of arterial territories; raises FileNotFoundError where it is not there."""
    path = data / "atlas" / ATLAS
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: the atlas of Tatu 1998 in MNI space.")
    return read_nifti(path)


def territories_in(anatomy: Anatomy, atlas: Volume) -> NDArray[np.uint8]:
    """Territory of each coarse voxel: 1, 3, 5 ACA, MCA, PCA left, 2, 4, 6 right, 0 none.

    The atlas stops short of the cortex here and there: brain within 12 mm takes the nearest label.
    """
    mni = anatomy.head.mni_lps
    index = np.rint(np.moveaxis(atlas.grid.to_index(mni), -1, 0))
    label = ndimage.map_coordinates(atlas.voxels, index, order=0, mode="constant")
    away, nearest = ndimage.distance_transform_edt(label == 0, return_indices=True)
    label = np.where(away * 2.0 <= _REACH_MM, label[tuple(nearest)], 0)
    artery = (label.astype(int) + _LABELS_AN_ARTERY - 1) // _LABELS_AN_ARTERY
    sided = 2 * artery - (mni[..., 0] > 0)
    return np.where(artery > 0, sided, 0).astype(np.uint8)


def suitable_lesions(bank: LesionBank, part: Literal["train", "test"]) -> list[int]:
    """Lesions of one side that are large enough for a perfusion study to be made."""
    return [
        n for n in bank.indices(part) if bank.side[n] != "both" and bank.volume_ml[n] >= LEAST_ML
    ]


def lesion_in(
    anatomy: Anatomy, bank: LesionBank, index: int, *, mirrored: bool
) -> NDArray[np.bool_]:
    """One lesion as a coarse mask of the head's brain tissue."""
    flip = np.array([-1.0 if mirrored else 1.0, 1.0, 1.0], dtype=np.float32)
    pulled = pull_from_mni(bank.mask(index), bank.affine_lps, anatomy.head.mni_lps * flip)
    return (pulled >= 0.5) & anatomy.parenchyma
