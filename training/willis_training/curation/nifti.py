"""NIfTI images as volumes: array order (z, y, x), axes turned as near to LPS as they go."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from willis_models.volume import Volume

_SCANNER_SPACE = 1
"""NIfTI's code for coordinates of the scanner."""
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def volume_from_nifti(image: Any) -> Volume:
    """A nibabel image as a volume whose k runs superior, j posterior and i to patient left."""
    turn = nib.orientations.ornt_transform(
        nib.orientations.io_orientation(image.affine),
        nib.orientations.axcodes2ornt(("L", "P", "S")),
    )
    voxels_xyz = nib.orientations.apply_orientation(np.asanyarray(image.dataobj), turn)
    affine_ras = image.affine @ nib.orientations.inv_ornt_aff(turn, image.shape)
    affine_lps = (_RAS_TO_LPS @ affine_ras)[:, [2, 1, 0, 3]]
    return Volume(np.ascontiguousarray(voxels_xyz.transpose(2, 1, 0)), affine_lps)


def read_nifti(path: Path) -> Volume:
    """A .nii or .nii.gz file as a volume."""
    return volume_from_nifti(nib.load(path))


def decode_nifti(content: bytes) -> Volume:
    """The bytes of a .nii or .nii.gz file as a volume."""
    raw = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    return volume_from_nifti(nib.Nifti1Image.from_bytes(raw))


def crop(volume: Volume, box: tuple[slice, slice, slice]) -> Volume:
    """The part of a volume inside a box of array slices, with its affine moved along."""
    start = np.array([side.start or 0 for side in box], dtype=np.float64)
    affine_lps = volume.affine_lps.copy()
    affine_lps[:3, 3] += affine_lps[:3, :3] @ start
    return Volume(volume.voxels[box].copy(), affine_lps)


def encode_nifti(volume: Volume) -> bytes:
    """A volume as the bytes of a .nii.gz file; the same volume gives the same bytes.

    Both of NIfTI's transforms are written, so the axes must be orthogonal.
    """
    affine_ras = _RAS_TO_LPS @ volume.affine_lps[:, [2, 1, 0, 3]]
    image = nib.Nifti1Image(volume.voxels.transpose(2, 1, 0), affine_ras)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine_ras, _SCANNER_SPACE)
    image.set_qform(affine_ras, _SCANNER_SPACE, strip_shears=False)
    return gzip.compress(image.to_bytes(), compresslevel=6, mtime=0)
