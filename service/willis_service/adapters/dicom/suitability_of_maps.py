"""Why a series is not the ready perfusion map that a role needs."""

from __future__ import annotations

import numpy as np

from willis_models.errors import ColourPixels, UnsuitableSeries
from willis_models.pipelines.base import Role
from willis_service.adapters.dicom.files import SeriesListing
from willis_service.adapters.dicom.geometry import planes_of
from willis_service.adapters.dicom.map_traits import map_of
from willis_service.adapters.dicom.reasons import Reason, SuitabilityRule, named
from willis_service.adapters.dicom.series_traits import is_picture


def _not_this_map(listing: SeriesListing, role: Role) -> Reason | None:
    """First of all for a map: nothing else is worth a word about a series that is none."""
    traits = map_of(listing)
    if traits is None or traits.key != role.name:
        found = "no perfusion map" if traits is None else f"a {traits.key} map"
        return Reason("NOT_THIS_MAP", f"{found}, not a {role.name} map")
    return None


def _picture(listing: SeriesListing, role: Role) -> Reason | None:
    """Maps are mostly sent as pictures, which hold colours and no values."""
    if is_picture(listing):
        return named(ColourPixels, f"a picture of a {role.name} map: no measured values")
    return None


def _unit_unknown(listing: SeriesListing, _role: Role) -> Reason | None:
    traits = map_of(listing)
    if traits is None or traits.factor is not None:
        return None
    stated = "not stated" if traits.stated is None else "not known"
    why = (
        f"the unit of its values is {stated}: state it in RescaleType or in the real world value "
        "mapping (s, mL/100g, mL/100g/min), or send the perfusion scan"
    )
    return named(UnsuitableSeries, why, code="MAP_UNIT_UNKNOWN")


def _repeated(listing: SeriesListing, _role: Role) -> Reason | None:
    places = {
        tuple(np.round(plane.origin_lps, 1)) for one in listing.headers for plane in planes_of(one)
    }
    if listing.image_count == len(places):
        return None
    return Reason("SEVERAL_MAPS", f"{listing.image_count} images at {len(places)} positions")


MAP_FIRST: tuple[SuitabilityRule, ...] = (_not_this_map, _picture)
MAP_LAST: tuple[SuitabilityRule, ...] = (_unit_unknown, _repeated)
