"""What kind of series it is, by its own headers: a volume, a series in time, or a ready map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydicom import Dataset
from pydicom.uid import (
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameSingleBitSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)

from willis_models.errors import GeometryError
from willis_models.pipelines.base import RoleKind
from willis_service.adapters.dicom import headers
from willis_service.adapters.dicom.clock import clock_of
from willis_service.adapters.dicom.dynamic_layout import SAME_POSITION_MM, time_points_of
from willis_service.adapters.dicom.files import SeriesListing
from willis_service.adapters.dicom.geometry import StackLayout, arrange
from willis_service.adapters.dicom.map_traits import map_of
from willis_service.adapters.dicom.pixels import is_colour

# Angiography in phases has up to four; while a dynamic series arrives it has more than that soon.
_DYNAMIC_FROM = 5
_SECONDARY = frozenset(
    {
        SecondaryCaptureImageStorage,
        MultiFrameSingleBitSecondaryCaptureImageStorage,
        MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
        MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
        MultiFrameTrueColorSecondaryCaptureImageStorage,
    }
)


@dataclass(frozen=True)
class TimeTraits:
    """A series in place and time.

    ``time_points`` is the usual number of images at a position, ``span_s`` the time from the first
    to the last of them; None where they don't say when they were taken.
    """

    positions: int
    time_points: int
    span_s: float | None


def kind_of_series(listing: SeriesListing) -> RoleKind:
    """The kind of role that a series could take. A picture of a map is none."""
    if map_of(listing) is not None and not is_picture(listing):
        return "map"
    layout = _layout(listing)
    is_dynamic = layout is not None and _time_points(layout) >= _DYNAMIC_FROM
    return "dynamic" if is_dynamic else "volume"


def time_traits(listing: SeriesListing) -> TimeTraits | None:
    """Positions and time points; None where the images don't make one stack."""
    layout = _layout(listing)
    if layout is None:
        return None
    found = clock_of(listing.headers, layout) if _time_points(layout) > 1 else None
    span_s = None if found is None else float(np.ptp(found[1]))
    return TimeTraits(len(layout.positions), _time_points(layout), span_s)


def is_picture(listing: SeriesListing) -> bool:
    """Whether the images show something in colours or grey levels, and measure nothing."""
    return is_secondary_capture(listing) or any(is_colour(header) for header in listing.headers)


def is_secondary_capture(listing: SeriesListing) -> bool:
    """Whether the images were made from a screen or a film."""
    return headers.text(listing.headers[0], "SOPClassUID") in _SECONDARY


def is_cardiac(header: Dataset) -> bool:
    """Whether an image is one of the phases of a heartbeat."""
    group = "CardiacSynchronizationSequence"
    keyword = "NominalPercentageOfCardiacPhase"
    item = headers.group_item(header, group, keyword)
    if headers.number(item, keyword) is not None:
        return True
    technique = headers.text(header, "CardiacSynchronizationTechnique")
    return technique is not None and technique.upper() != "NONE"


def _layout(listing: SeriesListing) -> StackLayout | None:
    try:
        return arrange(listing.headers, SAME_POSITION_MM)
    except GeometryError:
        return None


def _time_points(layout: StackLayout) -> int:
    return time_points_of([len(same) for same in layout.positions])
