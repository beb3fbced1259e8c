"""Proof that a written parametric map says what the map in memory says, before it leaves."""

from __future__ import annotations

import numpy as np
from pydicom import Dataset

from willis_models.codes import MAPS, UNITS
from willis_models.errors import RoundTripMismatch
from willis_models.pipelines.base import ResultMap
from willis_service.adapters.dicom.placement import (
    check_references,
    frame_groups,
    placement,
    slice_of,
)
from willis_service.adapters.dicom.series import DicomSeries


def verify_map(made: Dataset, result: ResultMap, series: DicomSeries) -> None:
    """Raise RoundTripMismatch unless the map, read again from disk, agrees with ``result``.

    Each slice has one frame, which lies on it and names its source image; every value is the same
    bit by bit, the padding stands exactly where the map says nothing, quantity and unit are ours.
    """
    what = f"The map {result.key}"
    check_references(made, series, what)
    frames = np.asarray(made.pixel_array).reshape(-1, int(made.Rows), int(made.Columns))
    padding = np.float32(made.FloatPixelPaddingValue)
    seen = set()
    for groups, frame in zip(frame_groups(made), frames, strict=True):
        k = slice_of(placement(groups), frame.shape, series, f"A frame of the map {result.key}")
        seen.add(k)
        read = np.where(frame == padding, np.float32(np.nan), frame)
        if not np.array_equal(read, result.values[k], equal_nan=True):
            raise RoundTripMismatch(f"{what} has other values in a frame.")
        _check_mapping(groups["RealWorldValueMappingSequence"], result, float(padding))
    if seen != set(range(len(result.values))):
        raise RoundTripMismatch(f"{what} does not have one frame for each slice.")


def _check_mapping(mapping: Dataset, result: ResultMap, padding: float) -> None:
    unit = str(mapping.MeasurementUnitsCodeSequence[0].CodeValue)
    quantity = mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0]
    if (unit, str(quantity.CodeValue)) != (UNITS[result.unit].value, MAPS[result.key].value):
        raise RoundTripMismatch(f"The map {result.key} is of another quantity or unit.")
    if (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) != (1.0, 0.0):
        raise RoundTripMismatch(f"The map {result.key} is rescaled.")
    low = mapping.DoubleFloatRealWorldValueFirstValueMapped
    high = mapping.DoubleFloatRealWorldValueLastValueMapped
    if low <= padding <= high:
        raise RoundTripMismatch(f"The padding of the map {result.key} passes for a value.")
