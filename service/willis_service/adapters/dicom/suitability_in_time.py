"""Why a series is no dynamic scan of a bolus: one small rule for each reason."""

from __future__ import annotations

from willis_models.errors import GeometryError, UnsuitableSeries
from willis_models.pipelines.base import Role
from willis_service.adapters.dicom.dynamic_layout import MINIMUM_POSITIONS, MINIMUM_TIME_POINTS
from willis_service.adapters.dicom.files import SeriesListing
from willis_service.adapters.dicom.reasons import Reason, SuitabilityRule, named
from willis_service.adapters.dicom.series_traits import is_cardiac, time_traits

# The phases of a heartbeat, and several reconstructions of one scan, lie within seconds.
_SHORTEST_S = 10.0


def _cardiac(listing: SeriesListing, _role: Role) -> Reason | None:
    if is_cardiac(listing.headers[0]):
        return Reason("CARDIAC_SERIES", "phases of a heartbeat")
    return None


def _not_in_time(listing: SeriesListing, _role: Role) -> Reason | None:
    traits = time_traits(listing)
    if traits is None:
        return named(GeometryError, "the images don't make one stack")
    if traits.time_points < 2:
        return Reason("NOT_DYNAMIC", "one image at each position")
    if traits.positions < MINIMUM_POSITIONS:
        return Reason("BOLUS_TRACKING", f"one slice, {traits.time_points} times: bolus tracking")
    if traits.time_points < MINIMUM_TIME_POINTS:
        return Reason(
            "TOO_FEW_TIME_POINTS",
            f"{traits.time_points} images at each position, "
            f"at least {MINIMUM_TIME_POINTS} are needed",
        )
    if traits.span_s is None:
        return named(
            UnsuitableSeries, "the images don't say when they were taken", code="TIMES_UNKNOWN"
        )
    if traits.span_s < _SHORTEST_S:
        return Reason("NOT_DYNAMIC", f"all images were taken within {traits.span_s:.1f} s")
    return None


IN_TIME: tuple[SuitabilityRule, ...] = (_cardiac, _not_in_time)
