"""A perfusion map as a DICOM Parametric Map in the source's study and frame of reference."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from highdicom import VOILUTTransformation
from highdicom.pm import ParametricMap, RealWorldValueMapping
from numpy.typing import NDArray
from pydicom import Dataset

from willis_models.codes import BRAIN, MAPS, UNITS
from willis_models.errors import ResultError
from willis_models.findings import Findings
from willis_models.pipelines.base import ResultMap
from willis_service.adapters.dicom.concepts import coded
from willis_service.adapters.dicom.result_headers import (
    RESEARCH_USE_DESCRIPTION,
    Equipment,
    common_arguments,
    complete_result,
    local_time,
    result_identity,
)
from willis_service.adapters.dicom.seg import fix_dimension_uid
from willis_service.adapters.dicom.series import DicomSeries
from willis_service.adapters.dicom.source_images import name_source_frames, source_images
from willis_service.domain.map_windows import MAP_WINDOWS

Floats = NDArray[np.float32]

FIRST_OFFSET = 11
"""Series numbers of the maps come after those of SEG, SR and retraction, in the order of MAPS."""
_MOST_PADDING = -1.0
_LONG_STRING = 64


def write_map(
    result: ResultMap,
    findings: Findings,
    series: DicomSeries,
    equipment: Equipment,
    *,
    created: datetime,
    predecessor: Dataset | None = None,
) -> Dataset:
    """The map as 32-bit floating-point frames, one a slice, with its quantity and unit coded.

    Where the map says nothing (NaN) stands ``padding_value``, declared as the object's padding
    and outside the range of its real-world value mapping. Raises ResultError for a map without
    any value and for one that does not lie on the series.
    """
    if findings.model is None or result.key not in MAPS or result.unit not in UNITS:
        raise ResultError("A map needs a declared quantity and unit, and the model that made it.")
    if result.values.shape != series.image.stack.shape:
        raise ResultError(f"The map {result.key} does not lie on the slices of its source.")
    kind, name = f"map-{result.key}", result.key.upper()
    identity = result_identity(series.headers, findings, equipment, predecessor)
    moment = local_time(created, series.headers[0])
    low, high = MAP_WINDOWS[result.key]
    offset = FIRST_OFFSET + list(MAPS).index(result.key)
    made = ParametricMap(
        source_images=source_images(series),
        pixel_array=filled(result.values),
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[_mapping(result)],
        voi_lut_transformations=[VOILUTTransformation((low + high) / 2, high - low)],
        content_label=f"WILLIS_{name}",
        content_description=RESEARCH_USE_DESCRIPTION,
        content_creator_name="Willis^",
        series_description=f"Willis {findings.pipeline} {name} - research use only"[:_LONG_STRING],
        **common_arguments(kind, offset, identity, equipment, findings.model, moment),
    )
    made.FloatPixelPaddingValue = padding_value(result.values)
    made.FloatPixelPaddingRangeLimit = made.FloatPixelPaddingValue
    made.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = [_both_sides_of_the_brain()]
    complete_result(made, series.headers[0], moment)
    fix_dimension_uid(made, identity.uid(kind, "dimension"))
    name_source_frames(made, series)
    return made


def padding_value(values: Floats) -> float:
    """A whole number below every value, -1 as a rule: NaN breaks the windowing of many viewers."""
    low, _ = value_range(values)
    return min(_MOST_PADDING, float(np.floor(low)) - 1.0 if low < 0 else _MOST_PADDING)


def filled(values: Floats) -> Floats:
    """The map with its padding in place of NaN."""
    return np.where(np.isnan(values), np.float32(padding_value(values)), values)


def value_range(values: Floats) -> tuple[float, float]:
    """The smallest and the largest value. Raises ResultError where there is none."""
    known = values[~np.isnan(values)]
    if known.size == 0 or not np.isfinite(known).all():
        raise ResultError("A map needs values, and finite ones.")
    return float(known.min()), float(known.max())


def _both_sides_of_the_brain() -> Dataset:
    """Frame anatomy, PS3.3 C.7.6.16.2.8."""
    item = Dataset()
    item.FrameLaterality = "B"
    item.AnatomicRegionSequence = [coded(BRAIN)]
    return item


def _mapping(result: ResultMap) -> RealWorldValueMapping:
    """Stored values are the real ones; the padding lies outside the mapped range."""
    quantity = MAPS[result.key]
    return RealWorldValueMapping(
        lut_label=result.key.upper(),
        lut_explanation=quantity.meaning[:_LONG_STRING],
        unit=coded(UNITS[result.unit]),
        value_range=value_range(result.values),
        slope=1.0,
        intercept=0.0,
        quantity_definition=coded(quantity),
    )
