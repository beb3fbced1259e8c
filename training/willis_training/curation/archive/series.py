"""One series as the rules see it: facts by name, from the headers of all its images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from willis_training.curation.archive.headers import Header

Fact = str | float | tuple[str, ...] | None

_LOSSY_SYNTAXES = frozenset(
    {
        *("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"),  # JPEG baseline, extended
        *("1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.91"),  # JPEG-LS near-lossless, JPEG 2000
        "1.2.840.10008.1.2.4.203",  # HTJ2K
    }
)
_SAME_PLACE_DECIMALS = 1
_DAYS_A_YEAR = 365.25
_DAYS_IN = {"D": 1.0, "W": 7.0, "M": _DAYS_A_YEAR / 12, "Y": _DAYS_A_YEAR}


@dataclass(frozen=True)
class Series:
    """A series: the files of its images (each SOP instance once) with their headers."""

    paths: tuple[str, ...]
    headers: tuple[Header, ...]
    copies: int
    """Files that hold an instance which another file holds already."""

    @property
    def uid(self) -> str:
        """SeriesInstanceUID: private, never written into the data set."""
        return str(self.headers[0]["SeriesInstanceUID"])

    @property
    def study_uid(self) -> str:
        """StudyInstanceUID, or the series' own where the header names no study."""
        return str(self.headers[0].get("StudyInstanceUID", self.uid))

    @property
    def patient_id(self) -> str:
        """PatientID, or the study's UID where the header names no patient."""
        return str(self.headers[0].get("PatientID", self.study_uid))

    @cached_property
    def digest(self) -> str:
        """Changes with the instances of the series, with their paths and with any fact."""
        document = repr((self.paths, self.headers))
        return sha256(document.encode()).hexdigest()

    @cached_property
    def facts(self) -> dict[str, Fact]:
        """Everything that a rule may ask for; None where the headers don't say."""
        first = self.headers[0]
        thickness_mm = first.get("SliceThickness")
        step_mm, coverage_mm = _steps(self.headers)
        return {
            "modality": first.get("Modality"),
            "sop_class": first.get("SOPClassUID"),
            "image_type": _image_types(self.headers),
            "description": _words(first),
            "body_part": _upper(first.get("BodyPartExamined")),
            "kernel": _upper(first.get("ConvolutionKernel") or first.get("FilterType")),
            "contrast_agent": _any(self.headers, "ContrastBolusAgent"),
            "value_type": _upper(first.get("RescaleType")),
            "burned_in": _upper(first.get("BurnedInAnnotation")),
            "lossy": "yes" if any(map(_is_lossy, self.headers)) else "no",
            "images": float(len(self.headers)),
            "rows": first.get("Rows"),
            "samples_a_pixel": first.get("SamplesPerPixel"),
            "frames": max(float(h.get("NumberOfFrames", 1.0)) for h in self.headers),
            "kvp": first.get("KVP"),
            "slice_thickness_mm": thickness_mm if thickness_mm else step_mm,
            "slice_step_mm": step_mm,
            "coverage_mm": coverage_mm,
            "tilt_deg": first.get("GantryDetectorTilt"),
            "axial_cosine": _axial_cosine(first),
            "images_a_position": _images_a_position(self.headers),
            "overlay_planes": float(sum(h.get("OverlayPlanes", 0) for h in self.headers)),
            "age_years": age_years(first),
            "series_number": first.get("SeriesNumber"),
        }


FACTS = frozenset(
    {
        *("modality", "sop_class", "image_type", "description", "body_part", "kernel"),
        *("contrast_agent", "value_type", "burned_in", "lossy", "images", "rows"),
        *("samples_a_pixel", "frames", "kvp", "slice_thickness_mm", "slice_step_mm"),
        *("coverage_mm", "tilt_deg", "axial_cosine", "images_a_position", "overlay_planes"),
        *("age_years", "series_number"),
    }
)
"""The names of the facts, so that a rule which asks for another is refused when it is read."""


def series_of(files: Sequence[tuple[str, Header]]) -> Series:
    """The files of one series, copies of an instance dropped."""
    once: dict[str, tuple[str, Header]] = {}
    for path, header in files:
        once.setdefault(str(header.get("SOPInstanceUID", path)), (path, header))
    paths, headers = zip(*once.values(), strict=True)
    return Series(paths, headers, len(files) - len(once))


def age_years(header: Header) -> float | None:
    """PatientAge, or the time from birth to study."""
    stated = str(header.get("PatientAge", ""))
    if len(stated) == 4 and stated[:3].isdigit() and stated[3] in _DAYS_IN:
        return int(stated[:3]) * _DAYS_IN[stated[3]] / _DAYS_A_YEAR
    birth, study = as_date(header.get("PatientBirthDate")), as_date(header.get("StudyDate"))
    return None if birth is None or study is None else (study - birth).days / _DAYS_A_YEAR


def as_date(text: Any) -> date | None:
    """A DICOM date (YYYYMMDD), or None where it is none."""
    try:
        return date.fromisoformat(str(text))
    except ValueError:
        return None


def _upper(text: Any) -> str | None:
    return None if text is None else str(text).upper()


def _words(header: Header) -> str | None:
    """Series description and protocol, in upper case, as words."""
    told = [header.get(key) for key in ("SeriesDescription", "ProtocolName")]
    words = " / ".join(str(one) for one in told if one).upper()
    return words.replace("_", " ").replace("-", " ") or None


def _image_types(headers: Sequence[Header]) -> tuple[str, ...]:
    return tuple(sorted({kind.upper() for h in headers for kind in h.get("ImageType", ())}))


def _any(headers: Sequence[Header], keyword: str) -> str | None:
    return next((str(h[keyword]).upper() for h in headers if keyword in h), None)


def _is_lossy(header: Header) -> bool:
    stated = header.get("LossyImageCompression") == "01"
    return stated or header.get("TransferSyntaxUID") in _LOSSY_SYNTAXES


def _normal(header: Header) -> NDArray[np.float64] | None:
    cosines = header.get("ImageOrientationPatient", ())
    return np.cross(cosines[:3], cosines[3:]) if len(cosines) == 6 else None


def _axial_cosine(header: Header) -> float | None:
    normal = _normal(header)
    return None if normal is None else abs(float(normal[2]))


def _steps(headers: Sequence[Header]) -> tuple[float | None, float | None]:
    """Median step between slices and distance from the first to the last, mm."""
    normal = _normal(headers[0])
    origins = [h["ImagePositionPatient"] for h in headers if "ImagePositionPatient" in h]
    if normal is None or len(origins) < 2:
        return None, None
    along = np.unique(np.round(np.array(origins) @ normal, _SAME_PLACE_DECIMALS))
    if len(along) < 2:
        return None, 0.0
    return float(np.median(np.diff(along))), float(np.ptp(along))


def _images_a_position(headers: Sequence[Header]) -> float | None:
    origins = [h["ImagePositionPatient"] for h in headers if "ImagePositionPatient" in h]
    if not origins:
        return None
    places = np.unique(np.round(np.array(origins), _SAME_PLACE_DECIMALS), axis=0)
    return len(origins) / len(places)
