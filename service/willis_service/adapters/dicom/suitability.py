"""Why a series is not what a role needs: one small rule for each reason."""

from __future__ import annotations

import re

import numpy as np
from pydicom import Dataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    EnhancedXRayRadiationDoseSRStorage,
    LegacyConvertedEnhancedCTImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    MRImageStorage,
    PatientRadiationDoseSRStorage,
    XRayRadiationDoseSRStorage,
)

from willis_models.errors import (
    ColourPixels,
    ContrastGiven,
    GeometryError,
    LossyPixels,
    NotAHead,
    TooFewSlices,
    UnsuitableSeries,
    WrongModality,
)
from willis_models.pipelines.base import Role, RoleKind
from willis_service.adapters.dicom import headers
from willis_service.adapters.dicom.acquisition import body_part, contrast_agent, is_elsewhere
from willis_service.adapters.dicom.dynamic_layout import MINIMUM_POSITIONS
from willis_service.adapters.dicom.files import SeriesListing
from willis_service.adapters.dicom.geometry import MINIMUM_SLICES, planes_of
from willis_service.adapters.dicom.map_traits import is_parametric_map, map_of
from willis_service.adapters.dicom.pixels import is_colour, is_lossy, transfer_syntax
from willis_service.adapters.dicom.reasons import (
    Reason,
    SuitabilityRule,
    description,
    image_types,
    named,
)
from willis_service.adapters.dicom.series_traits import is_secondary_capture
from willis_service.adapters.dicom.suitability_in_time import IN_TIME
from willis_service.adapters.dicom.suitability_of_maps import MAP_FIRST, MAP_LAST

_DOSE = frozenset(
    {
        XRayRadiationDoseSRStorage,
        EnhancedXRayRadiationDoseSRStorage,
        PatientRadiationDoseSRStorage,
    }
)
_IMAGES_OF = {
    "CT": {CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage},
    "MR": {MRImageStorage, EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage},
}
_PROJECTIONS = frozenset(
    {"MIP", "MINIP", "MIN_IP", "MAX_IP", "VRT", "SSD", "3D", "VOLUME RENDERED", "PROJECTION IMAGE"}
)
_HOUNSFIELD = frozenset({"HU", "HU_MOD", "US"})
_DYNAMIC_WORDS = re.compile(r"\b(\w*PERFUSION|CTP|DYNAMIC)\b")
_CONTRAST_WORDS = re.compile(r"\b(CTA|CTV|C?T?ANGIO\w*|(WITH|POST|W) CONTRAST)\b|C\+")
_ANGIOGRAPHY_WORDS = re.compile(r"\b(CTA|C?T?ANGIO\w*|ARTERIAL)\b")
_NATIVE_WORDS = re.compile(r"\b(NON|NO|WITHOUT|WO|W/O|PRE|NCCT|NECT|PLAIN|NATIVE?)\b")
_IMAGES_A_POSITION = 3
_AXIAL_COSINE = 0.7


def _not_dicom(listing: SeriesListing, _role: Role) -> Reason | None:
    if listing.is_readable:
        return None
    return Reason("NOT_DICOM", "not in DICOM format")


def _not_an_image(listing: SeriesListing, _role: Role) -> Reason | None:
    if headers.text(listing.headers[0], "SOPClassUID") in _DOSE:
        return Reason("DOSE_REPORT", "radiation dose report")
    if headers.number(listing.headers[0], "Rows"):
        return None
    return Reason("NOT_AN_IMAGE", f"holds no image (modality {listing.modality or 'not stated'})")


def _secondary_capture(listing: SeriesListing, _role: Role) -> Reason | None:
    if not is_secondary_capture(listing):
        return None
    kinds = image_types(listing) - {"ORIGINAL", "DERIVED", "PRIMARY", "SECONDARY", ""}
    shown = f" ({', '.join(sorted(kinds))})" if kinds else ""
    if any("SCREEN" in kind for kind in kinds):
        return Reason("SCREEN_CAPTURE", f"screen capture{shown}")
    return Reason("SECONDARY_CAPTURE", f"secondary capture{shown}: no measured values")


def _localizer(listing: SeriesListing, _role: Role) -> Reason | None:
    if image_types(listing) & {"LOCALIZER", "SCOUT", "TOPOGRAM"}:
        return Reason("LOCALIZER", "localizer")
    return None


def _wrong_modality(listing: SeriesListing, role: Role) -> Reason | None:
    if role.kind == "map" and is_parametric_map(listing.headers[0]):
        return None  # whose Modality is that of whoever made it
    if listing.modality != role.modality:
        stated = listing.modality or "not stated"
        return named(WrongModality, f"modality {stated} instead of {role.modality}")
    expected = _IMAGES_OF.get(role.modality)
    if expected and headers.text(listing.headers[0], "SOPClassUID") not in expected:
        return Reason("NOT_AN_IMAGE", "not a plain image object of its modality")
    return None


def _colour(listing: SeriesListing, _role: Role) -> Reason | None:
    if any(is_colour(header) for header in listing.headers):
        return named(ColourPixels, "colour images, no measured values")
    return None


def _lossy(listing: SeriesListing, _role: Role) -> Reason | None:
    lossy = next((header for header in listing.headers if is_lossy(header)), None)
    if lossy is not None:
        return named(LossyPixels, f"compressed with loss ({transfer_syntax(lossy).name})")
    return None


def _placeless(listing: SeriesListing, _role: Role) -> Reason | None:
    try:
        for header in listing.headers:
            planes_of(header)
    except GeometryError as error:
        return named(GeometryError, error.message.rstrip("."))
    return None


def _too_few(listing: SeriesListing, role: Role) -> Reason | None:
    minimum = MINIMUM_SLICES.get(role.modality, 1) if role.kind == "volume" else MINIMUM_POSITIONS
    if listing.image_count < minimum:
        return named(TooFewSlices, f"{listing.image_count} slices, at least {minimum} are needed")
    return None


def _not_hounsfield(listing: SeriesListing, _role: Role) -> Reason | None:
    group, keyword = "PixelValueTransformationSequence", "RescaleType"
    item = headers.group_item(listing.headers[0], group, keyword)
    unit = headers.text(item, keyword)
    if unit is None or unit.upper() in _HOUNSFIELD:
        return None
    return named(UnsuitableSeries, f"values in {unit}, not in Hounsfield units")


def _projection(listing: SeriesListing, _role: Role) -> Reason | None:
    kinds = image_types(listing) & _PROJECTIONS
    if kinds:
        return Reason("DERIVED_IMAGE", f"derived images ({', '.join(sorted(kinds))})")
    return None


def _not_axial(listing: SeriesListing, _role: Role) -> Reason | None:
    plane = planes_of(listing.headers[0])[0]
    normal = np.cross(plane.row_lps, plane.column_lps)
    if abs(float(normal[2])) >= _AXIAL_COSINE:
        return None
    return Reason("NOT_AXIAL", f"{('sagittal', 'coronal')[int(abs(normal[1]) > abs(normal[0]))]}")


def _elsewhere(listing: SeriesListing, _role: Role) -> Reason | None:
    part = body_part(listing.headers[0])
    return named(NotAHead, f"shows {part}, not the head") if is_elsewhere(part) else None


def _dynamic(listing: SeriesListing, _role: Role) -> Reason | None:
    origins = [plane.origin_lps for header in listing.headers for plane in planes_of(header)]
    positions = len({tuple(np.round(origin, 1)) for origin in origins})
    if len(origins) >= _IMAGES_A_POSITION * positions:
        return Reason("DYNAMIC_SERIES", f"{len(origins) // positions} images at each position")
    if _DYNAMIC_WORDS.search(description(listing)):
        return Reason("DYNAMIC_SERIES", "described as perfusion or dynamic series")
    return None


def _contrast(listing: SeriesListing, _role: Role) -> Reason | None:
    return _contrast_reason(listing)


def _contrast_reason(listing: SeriesListing) -> Reason | None:
    agents = (contrast_agent(header) for header in listing.headers)
    if any(agent is not None for agent in agents):
        return named(ContrastGiven, "contrast agent given")
    words = description(listing)
    if _CONTRAST_WORDS.search(words) and not _NATIVE_WORDS.search(words):
        return named(ContrastGiven, "described as taken with contrast agent")
    return None


def _map(listing: SeriesListing, _role: Role) -> Reason | None:
    traits = map_of(listing)
    return None if traits is None else Reason("PERFUSION_MAP", f"a {traits.key} map")


def _without_contrast(listing: SeriesListing, _role: Role) -> Reason | None:
    if _contrast_reason(listing) is not None:
        return None
    return Reason("NO_CONTRAST", "neither contrast agent stated nor described as angiography")


_FIRST: tuple[SuitabilityRule, ...] = (_not_dicom, _not_an_image)
_PLAIN: tuple[SuitabilityRule, ...] = (_wrong_modality, _colour, _lossy, _placeless)
_GENERAL = (*_FIRST, _secondary_capture, _localizer, *_PLAIN)
_HEAD_CT: tuple[SuitabilityRule, ...] = (_not_hounsfield, _projection, _not_axial, _elsewhere)
_RULES: dict[str, tuple[SuitabilityRule, ...]] = {
    "ncct": (*_GENERAL, _map, *_HEAD_CT, _dynamic, _contrast, _too_few),
    "cta": (*_GENERAL, _map, *_HEAD_CT, _dynamic, _without_contrast, _too_few),
}
_BY_KIND: dict[RoleKind, tuple[SuitabilityRule, ...]] = {
    "volume": (*_GENERAL, _too_few),
    "dynamic": (*_GENERAL, _map, *_HEAD_CT, *IN_TIME),
    "map": (
        *_FIRST,
        *MAP_FIRST,
        _localizer,
        *_PLAIN,
        _projection,
        _not_axial,
        _elsewhere,
        *MAP_LAST,
        _too_few,
    ),
}


def reason_against(listing: SeriesListing, role: Role) -> Reason | None:
    """The first reason why this series can't take this role, or None where it can."""
    rules = _RULES.get(role.name, _BY_KIND[role.kind])
    return next((why for rule in rules if (why := rule(listing, role)) is not None), None)


def shows_contrast(listing: SeriesListing) -> bool:
    """Whether contrast agent was given, as far as the headers say."""
    return _contrast_reason(listing) is not None


def is_angiography(listing: SeriesListing) -> bool:
    """Whether a series is described as angiography."""
    return _ANGIOGRAPHY_WORDS.search(description(listing)) is not None


def is_localizer_image(header: Dataset) -> bool:
    """Whether one image of a series is a localizer."""
    return "LOCALIZER" in headers.texts(header, "ImageType")
