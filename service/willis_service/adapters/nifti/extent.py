"""Where a NIfTI image lies, by its header."""

from __future__ import annotations

from itertools import product
from pathlib import Path

from willis_models.errors import InputError
from willis_service.adapters.nifti.reader import affine_lps_of, open_image
from willis_service.adapters.nifti.series import is_in_time
from willis_service.domain.extent import Extent


def extent_of_image(path: Path) -> Extent | None:
    """The box around all voxels; None where the file can't be read or doesn't say."""
    try:
        image = open_image(path, 4 if is_in_time(path) else 3)
        affine_lps = affine_lps_of(image)
    except InputError:
        return None
    ends = [(-0.5, size - 0.5) for size in image.shape[:3]]
    return Extent.around((affine_lps @ (*corner, 1.0))[:3].tolist() for corner in product(*ends))
