"""Why a series was set aside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from willis_models.errors import WillisError
from willis_models.pipelines.base import Role
from willis_service.adapters.dicom import headers
from willis_service.adapters.dicom.files import SeriesListing


@dataclass(frozen=True)
class Reason:
    """Why a series was set aside. ``error`` is the named error if it is the only obstacle."""

    code: str
    text: str
    error: type[WillisError] | None = None


SuitabilityRule = Callable[[SeriesListing, Role], Reason | None]


def named(error: type[WillisError], text: str, code: str | None = None) -> Reason:
    """A reason that is an error of its own where it is the only one."""
    return Reason(code or error.code, text, error)


def image_types(listing: SeriesListing) -> set[str]:
    """Every value of ImageType in the series."""
    return {kind for header in listing.headers for kind in headers.texts(header, "ImageType")}


def description(listing: SeriesListing) -> str:
    """SeriesDescription, else ProtocolName, in upper case."""
    keywords = ("SeriesDescription", "ProtocolName")
    found = (headers.text(listing.headers[0], keyword) for keyword in keywords)
    return next((one.upper().replace("_", " ") for one in found if one), "")
