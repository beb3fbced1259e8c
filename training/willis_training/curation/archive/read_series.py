"""The images of one kept series as a stack of slices in HU, with the overlays drawn on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread

from willis_models.errors import DecodingError, DuplicateSlices, GeometryError, MissingSlices
from willis_models.imaging.resample import AIR_HU
from willis_models.volume import Floats, SliceStack
from willis_training.curation.overlays import OverlayPlane, overlay_planes

SAME_COSINES = 1e-3
SAME_PLACE_MM = 0.1
GAP_RATIO = 1.75
NEIGHBOURS = 3
THICKNESS_MARGIN = 1.1


@dataclass(frozen=True)
class SeriesImages:
    """A stack in HU (int16, air where nothing was measured) and the overlays of each slice."""

    stack: SliceStack
    overlays: tuple[tuple[OverlayPlane, ...], ...]

    @property
    def overlay_count(self) -> int:
        """Planes on all slices together."""
        return sum(map(len, self.overlays))


def read_series(paths: Sequence[str]) -> SeriesImages:
    """Read single-frame images and order them by position along their normal.

    Raises DecodingError, or GeometryError and its kinds where they don't make one whole stack.
    """
    images = [dcmread(path) for path in paths]
    _check_alike(images)
    cosines = np.array(images[0].ImageOrientationPatient, dtype=np.float64)
    row, column = (part / np.linalg.norm(part) for part in (cosines[:3], cosines[3:]))
    origins: Floats = np.array([i.ImagePositionPatient for i in images], dtype=np.float64)
    order = np.argsort(origins @ np.cross(row, column))
    images = [images[n] for n in order]
    along = origins[order] @ np.cross(row, column)
    _check_complete(along, [float(i.get("SliceThickness") or 0.0) for i in images])
    between_rows, between_columns = (float(mm) for mm in images[0].PixelSpacing)
    stack = SliceStack(
        np.stack([hounsfield(image) for image in images]),
        origins[order],
        row * between_columns,
        column * between_rows,
    )
    return SeriesImages(stack, tuple(overlay_planes(image) for image in images))


def hounsfield(image: Dataset) -> NDArray[np.int16]:
    """The pixels in HU; padding and what lies below air become air. Raises DecodingError."""
    try:
        stored = image.pixel_array
    # The decoders of the transfer syntaxes fail in their own ways.
    except Exception as error:
        syntax = image.file_meta.TransferSyntaxUID.name
        raise DecodingError(f"The pixels ({syntax}) can't be decoded: {error}") from error
    hu = stored * float(image.get("RescaleSlope", 1)) + float(image.get("RescaleIntercept", 0))
    hu = np.where(_is_padding(image, stored), AIR_HU, np.maximum(hu, AIR_HU))
    return np.asarray(np.rint(np.minimum(hu, np.iinfo(np.int16).max)), dtype=np.int16)


def _is_padding(image: Dataset, stored: NDArray[Any]) -> NDArray[np.bool_]:
    """PS3.3 C.7.5.1.1.2: one value, or the range from PixelPaddingValue to its limit."""
    value = image.get("PixelPaddingValue")
    if value is None:
        return np.zeros(stored.shape, dtype=np.bool_)
    limit = image.get("PixelPaddingRangeLimit", value)
    low, high = sorted((int(value), int(limit)))
    return np.asarray((stored >= low) & (stored <= high))


def _check_alike(images: Sequence[Dataset]) -> None:
    try:
        shared = np.array(
            [
                [*i.ImageOrientationPatient, *i.PixelSpacing, int(i.Rows), int(i.Columns)]
                for i in images
            ],
            dtype=np.float64,
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise GeometryError("An image doesn't say where it lies or how large it is.") from error
    if np.ptp(shared, axis=0).max() > SAME_COSINES:
        raise GeometryError("The images differ in orientation, pixel spacing or matrix.")


def _check_complete(along_mm: Floats, thickness_mm: Sequence[float]) -> None:
    """A gap is longer than 1.75 of the steps around it and longer than its slices are thick."""
    steps = np.diff(along_mm)
    if (steps < SAME_PLACE_MM).any():
        raise DuplicateSlices("Two images lie at the same position.")
    for k, step in enumerate(steps):
        thick = THICKNESS_MARGIN * max(thickness_mm[k], thickness_mm[k + 1])
        if step > GAP_RATIO * _local_step_mm(steps, k) and step > thick:
            raise MissingSlices(f"Between slices {k + 1} and {k + 2} tissue is missing.")


def _local_step_mm(steps: Floats, k: int) -> float:
    around = [*steps[max(0, k - NEIGHBOURS) : k], *steps[k + 1 : k + 1 + NEIGHBOURS]]
    return float(np.median(around)) if around else float(steps[k])
