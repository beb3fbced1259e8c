"""2 x 2 pixels averaged into one: the pixels, the geometry, and headers that agree with both."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from willis_service.adapters.dicom import headers
from willis_service.adapters.dicom.geometry import StackLayout, planes_of

Array = NDArray[Any]
Floats = NDArray[np.float64]

BINNING = 2


def binned(image: Array) -> Array:
    """The mean of each 2 x 2 block, float32; a last odd row or column is left out."""
    rows, columns = (size // BINNING for size in image.shape)
    blocks = image[: rows * BINNING, : columns * BINNING].reshape(rows, BINNING, columns, BINNING)
    return np.asarray(blocks.mean(axis=(1, 3), dtype=np.float32))


def binned_geometry(layout: StackLayout, is_binned: bool) -> tuple[Floats, Floats, Floats]:
    """Origins (z, 3), row step and column step of a stack, as it is or binned."""
    row, column = layout.row_step_lps, layout.column_step_lps
    if not is_binned:
        return layout.origins_lps, row, column
    shift = (BINNING - 1) / 2 * (row + column)
    return layout.origins_lps + shift, BINNING * row, BINNING * column


def binned_header(header: Dataset) -> Dataset:
    """A copy whose matrix, pixel spacing and positions are those of the binned image."""
    changed = deepcopy(header)
    for frame, plane in enumerate(planes_of(header)):
        row = plane.row_lps * plane.spacing_mm[1]
        column = plane.column_lps * plane.spacing_mm[0]
        origin = plane.origin_lps + (BINNING - 1) / 2 * (row + column)
        group, keyword = "PlanePositionSequence", "ImagePositionPatient"
        item = headers.group_item(changed, group, keyword, frame)
        item.ImagePositionPatient = [f"{value:.9f}"[:16] for value in origin]
    _double_spacing(changed)
    changed.Rows, changed.Columns = header.Rows // BINNING, header.Columns // BINNING
    return changed


def _double_spacing(header: Dataset) -> None:
    """Each item once, also where several frames share it."""
    group, keyword = "PixelMeasuresSequence", "PixelSpacing"
    frames = range(headers.frame_count(header))
    items = {
        id(one): one for one in (headers.group_item(header, group, keyword, n) for n in frames)
    }
    for item in items.values():
        item.PixelSpacing = [f"{BINNING * float(value):.9f}"[:16] for value in item.PixelSpacing]
