"""Why a series is not what a role needs: one small rule for each reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

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
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameSingleBitSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    PatientRadiationDoseSRStorage,
    SecondaryCaptureImageStorage,
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
    WillisError,
    WrongModality,
)
from willis_models.pipelines.base import Role
from willis_service.adapters.dicom import headers
from willis_service.adapters.dicom.acquisition import body_part, contrast_agent, is_elsewhere
from willis_service.adapters.dicom.files import SeriesListing
from willis_service.adapters.dicom.geometry import MINIMUM_SLICES, planes_of
from willis_service.adapters.dicom.pixels import is_colour, is_lossy, transfer_syntax

_SECONDARY = frozenset(
    {
        SecondaryCaptureImageStorage,
        MultiFrameSingleBitSecondaryCaptureImageStorage,
        MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
        MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
        MultiFrameTrueColorSecondaryCaptureImageStorage,
    }
)
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
_NATIVE_WORDS = re.compile(r"\b(NON|NO|WITHOUT|WO|W/O|PRE|NCCT|NECT|PLAIN|NATIVE?)\b")
_IMAGES_A_POSITION = 3
_AXIAL_COSINE = 0.7


@dataclass(frozen=True)
class Reason:
    """Why a series was set aside. ``error`` is the named error if it is the only obstacle."""

    code: str
    text: str
    error: type[WillisError] | None = None


Rule = Callable[[SeriesListing, Role], Reason | None]


def _named(error: type[WillisError], text: str) -> Reason:
    return Reason(error.code, text, error)


def _image_types(listing: SeriesListing) -> set[str]:
    return {kind for header in listing.headers for kind in headers.texts(header, "ImageType")}


def _description(listing: SeriesListing) -> str:
    keywords = ("SeriesDescription", "ProtocolName")
    found = (headers.text(listing.headers[0], keyword) for keyword in keywords)
    return next((one.upper().replace("_", " ") for one in found if one), "")


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
    if headers.text(listing.headers[0], "SOPClassUID") not in _SECONDARY:
        return None
    kinds = _image_types(listing) - {"ORIGINAL", "DERIVED", "PRIMARY", "SECONDARY", ""}
    shown = f" ({', '.join(sorted(kinds))})" if kinds else ""
    if any("SCREEN" in kind for kind in kinds):
        return Reason("SCREEN_CAPTURE", f"screen capture{shown}")
    return Reason("SECONDARY_CAPTURE", f"secondary capture{shown}: no measured values")


def _localizer(listing: SeriesListing, _role: Role) -> Reason | None:
    if _image_types(listing) & {"LOCALIZER", "SCOUT", "TOPOGRAM"}:
        return Reason("LOCALIZER", "localizer")
    return None


def _wrong_modality(listing: SeriesListing, role: Role) -> Reason | None:
    if listing.modality != role.modality:
        stated = listing.modality or "not stated"
        return _named(WrongModality, f"modality {stated} instead of {role.modality}")
    expected = _IMAGES_OF.get(role.modality)
    if expected and headers.text(listing.headers[0], "SOPClassUID") not in expected:
        return Reason("NOT_AN_IMAGE", "not a plain image object of its modality")
    return None


def _colour(listing: SeriesListing, _role: Role) -> Reason | None:
    if any(is_colour(header) for header in listing.headers):
        return _named(ColourPixels, "colour images, no measured values")
    return None


def _lossy(listing: SeriesListing, _role: Role) -> Reason | None:
    lossy = next((header for header in listing.headers if is_lossy(header)), None)
    if lossy is not None:
        return _named(LossyPixels, f"compressed with loss ({transfer_syntax(lossy).name})")
    return None


def _placeless(listing: SeriesListing, _role: Role) -> Reason | None:
    try:
        for header in listing.headers:
            planes_of(header)
    except GeometryError as error:
        return _named(GeometryError, error.message.rstrip("."))
    return None


def _too_few(listing: SeriesListing, role: Role) -> Reason | None:
    minimum = MINIMUM_SLICES.get(role.modality, 1)
    if listing.image_count < minimum:
        return _named(TooFewSlices, f"{listing.image_count} slices, at least {minimum} are needed")
    return None


def _not_hounsfield(listing: SeriesListing, _role: Role) -> Reason | None:
    group, keyword = "PixelValueTransformationSequence", "RescaleType"
    item = headers.group_item(listing.headers[0], group, keyword)
    unit = headers.text(item, keyword)
    if unit is None or unit.upper() in _HOUNSFIELD:
        return None
    return _named(UnsuitableSeries, f"values in {unit}, not in Hounsfield units")


def _projection(listing: SeriesListing, _role: Role) -> Reason | None:
    kinds = _image_types(listing) & _PROJECTIONS
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
    return _named(NotAHead, f"shows {part}, not the head") if is_elsewhere(part) else None


def _dynamic(listing: SeriesListing, _role: Role) -> Reason | None:
    origins = [plane.origin_lps for header in listing.headers for plane in planes_of(header)]
    positions = len({tuple(np.round(origin, 1)) for origin in origins})
    if len(origins) >= _IMAGES_A_POSITION * positions:
        return Reason("DYNAMIC_SERIES", f"{len(origins) // positions} images at each position")
    if _DYNAMIC_WORDS.search(_description(listing)):
        return Reason("DYNAMIC_SERIES", "described as perfusion or dynamic series")
    return None


def _contrast(listing: SeriesListing, _role: Role) -> Reason | None:
    return _contrast_reason(listing)


def _contrast_reason(listing: SeriesListing) -> Reason | None:
    agents = (contrast_agent(header) for header in listing.headers)
    if any(agent is not None for agent in agents):
        return _named(ContrastGiven, "contrast agent given")
    words = _description(listing)
    if _CONTRAST_WORDS.search(words) and not _NATIVE_WORDS.search(words):
        return _named(ContrastGiven, "described as taken with contrast agent")
    return None


_GENERAL: tuple[Rule, ...] = (
    _not_dicom,
    _not_an_image,
    _secondary_capture,
    _localizer,
    _wrong_modality,
    _colour,
    _lossy,
    _placeless,
)
_RULES: dict[str, tuple[Rule, ...]] = {
    "ncct": (
        *_GENERAL,
        _not_hounsfield,
        _projection,
        _not_axial,
        _elsewhere,
        _dynamic,
        _contrast,
        _too_few,
    ),
}
_OTHERWISE: tuple[Rule, ...] = (*_GENERAL, _too_few)


def reason_against(listing: SeriesListing, role: Role) -> Reason | None:
    """The first reason why this series can't take this role, or None where it can."""
    rules = _RULES.get(role.name, _OTHERWISE)
    return next((why for rule in rules if (why := rule(listing, role)) is not None), None)


def shows_contrast(listing: SeriesListing) -> bool:
    """Whether contrast agent was given, as far as the headers say."""
    return _contrast_reason(listing) is not None


def is_localizer_image(header: Dataset) -> bool:
    """Whether one image of a series is a localizer."""
    return "LOCALIZER" in headers.texts(header, "ImageType")
