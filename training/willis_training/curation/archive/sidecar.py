"""The JSON beside an image: what is on these lists and nothing else."""

from __future__ import annotations

import re
from typing import Any

from willis_models.findings import INTENDED_USE_STATEMENT
from willis_training.curation.archive.headers import Header
from willis_training.curation.archive.pseudonyms import age_band
from willis_training.curation.archive.regular import RegularVolume
from willis_training.curation.archive.series import age_years

NUMBERS = {
    "KVP": "KVP",
    "SliceThickness": "SliceThickness",
    "GantryDetectorTilt": "GantryDetectorTilt",
    "Exposure": "Exposure",
    "ReconstructionDiameter": "ReconstructionDiameter",
}
CODES = {
    "Modality": "Modality",
    "Manufacturer": "Manufacturer",
    "ManufacturerModelName": "ManufacturersModelName",
    "ConvolutionKernel": "ConvolutionKernel",
    "BodyPartExamined": "BodyPartExamined",
    "PatientPosition": "PatientPosition",
}
_HARMLESS = re.compile(r"[A-Za-z0-9 .,+/_()-]{1,40}")
_LONG_NUMBER = re.compile(r"\d{6,}")
"""Dates, record numbers and serial numbers are at least this long."""


def sidecar(header: Header, image: RegularVolume, overlays: int) -> dict[str, Any]:
    """The facts of one series that are safe to give away."""
    document: dict[str, Any] = {
        name: header[keyword] for keyword, name in NUMBERS.items() if keyword in header
    }
    document |= {
        name: header[keyword]
        for keyword, name in CODES.items()
        if keyword in header and is_harmless(str(header[keyword]))
    }
    document["ImageType"] = [str(k) for k in header.get("ImageType", ()) if is_harmless(str(k))]
    return document | {
        "AgeBand": age_band(age_years(header)),
        "Units": "HU",
        "GantryTiltCorrected": image.tilt_corrected,
        "SliceStepsResampled": image.steps_resampled,
        "OverlayPlanes": overlays,
        "IntendedUse": INTENDED_USE_STATEMENT,
    }


def is_harmless(text: str) -> bool:
    """Whether a value looks like a code: short, plain letters, no number as long as a date."""
    return _HARMLESS.fullmatch(text) is not None and _LONG_NUMBER.search(text) is None
