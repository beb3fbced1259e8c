"""Where a series lies, by its headers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from willis_models.errors import GeometryError
from willis_service.adapters.dicom.files import scan
from willis_service.adapters.dicom.geometry import Floats, SlicePlane, planes_of
from willis_service.domain.extent import Extent


def extent_of_series(files: Sequence[Path]) -> Extent | None:
    """The box around all images, half a slice beyond the outer ones; None where none has a place.

    A slice without a thickness is taken as one pixel thick.
    """
    try:
        planes = [
            plane
            for listing in scan(files)
            for header in listing.headers
            for plane in planes_of(header)
        ]
    except GeometryError:
        return None
    if not planes:
        return None
    return Extent.around(corner for plane in planes for corner in _corners(plane).tolist())


def _corners(plane: SlicePlane) -> Floats:
    """The eight corners of a slice, LPS mm."""
    (rows, columns), (row_mm, column_mm) = plane.matrix, plane.spacing_mm
    normal = np.cross(plane.row_lps, plane.column_lps)
    half = (plane.thickness_mm or row_mm) / 2
    return np.array(
        [
            plane.origin_lps
            + plane.row_lps * column_mm * x
            + plane.column_lps * row_mm * y
            + normal * side
            for x in (-0.5, columns - 0.5)
            for y in (-0.5, rows - 0.5)
            for side in (-half, half)
        ]
    )
