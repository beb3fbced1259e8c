"""One ready perfusion map to values in its UCUM unit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from willis_models.errors import DuplicateSlices, UnsuitableSeries
from willis_models.findings import QualityItem
from willis_models.pipelines.base import InputImage
from willis_models.volume import SliceStack
from willis_service.adapters.dicom import headers
from willis_service.adapters.dicom.acquisition import acquisition_of
from willis_service.adapters.dicom.dynamic_layout import MINIMUM_POSITIONS
from willis_service.adapters.dicom.files import SeriesListing
from willis_service.adapters.dicom.geometry import SlicePlane, StackLayout, arrange, check_complete
from willis_service.adapters.dicom.map_traits import MapTraits, map_of, mapping_of
from willis_service.adapters.dicom.pixels import check_pixels, decoded
from willis_service.adapters.dicom.reader import thickness_mm
from willis_service.adapters.dicom.series import DicomSeries, check_one_object, sources_of

Array = NDArray[Any]


def read_map(listing: SeriesListing) -> DicomSeries:
    """Read a perfusion map: float32, NaN where the image declares padding.

    Raises UnsuitableSeries where it is no map or its unit is not known, ColourPixels, LossyPixels,
    DecodingError and the leaves of GeometryError.
    """
    traits = map_of(listing)
    if traits is None or traits.factor is None:
        raise UnsuitableSeries("The series is no perfusion map in a unit that is known.")
    check_pixels(listing.headers)
    check_one_object(listing.headers)
    layout = arrange(listing.headers)
    check_complete(layout, MINIMUM_POSITIONS)
    voxels = _values(listing, layout, traits.factor)
    stack = SliceStack(voxels, layout.origins_lps, layout.row_step_lps, layout.column_step_lps)
    items = tuple(_items(traits))
    acquisition = acquisition_of(listing.headers, thickness_mm(layout), items)
    used, numbers = sources_of(listing.headers, [same[0] for same in layout.positions])
    return DicomSeries(InputImage(stack, acquisition, unit=traits.unit), used, numbers)


def _values(listing: SeriesListing, layout: StackLayout, factor: float) -> Array:
    voxels = np.empty(layout.shape, np.float32)
    planes = [plane for same in layout.positions for plane in same]
    slice_of = [k for k, same in enumerate(layout.positions) for _ in same]
    filled: set[int] = set()
    for plane, k, stored in zip(planes, slice_of, decoded(listing, planes), strict=True):
        values = _in_unit(listing.headers[plane.file], plane, stored, factor)
        if k in filled and not np.array_equal(voxels[k], values, equal_nan=True):
            raise DuplicateSlices(f"Two different images lie at the position of slice {k + 1}.")
        voxels[k] = values
        filled.add(k)
    return voxels


def _in_unit(header: Dataset, plane: SlicePlane, stored: Array, factor: float) -> Array:
    """By the real world value mapping of the frame, else by its rescaling (C.7.6.16.2.11)."""
    slope, intercept = _scale(header, plane.frame)
    values = (stored.astype(np.float64) * slope + intercept) * factor
    for keyword in ("FloatPixelPaddingValue", "DoubleFloatPixelPaddingValue", "PixelPaddingValue"):
        padding = headers.number(header, keyword)
        if padding is not None:
            values[stored == padding] = np.nan
    return values.astype(np.float32)


def _scale(header: Dataset, frame: int) -> tuple[float, float]:
    mapping = mapping_of(header, frame)
    names, item = ("RealWorldValueSlope", "RealWorldValueIntercept"), mapping
    if item is None:
        group, names = "PixelValueTransformationSequence", ("RescaleSlope", "RescaleIntercept")
        item = headers.group_item(header, group, names[0], frame)
    slope, intercept = (headers.number(item, name) for name in names)
    return 1.0 if slope is None else slope, intercept or 0.0


def _items(traits: MapTraits) -> Iterator[QualityItem]:
    yield QualityItem(
        code="MAP_READ",
        outcome="pass",
        message=f"A ready {traits.key} map was read; its values were brought from "
        f"{traits.stated} to {traits.unit}.",
    )
