"""What stands in a hospital's archive besides plain head CT, and why curation sets it aside.

Each kind is the least that makes it what it is: the elements that differ from a plain head scan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydicom.uid import (
    CTImageStorage,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
    SecondaryCaptureImageStorage,
    XRayRadiationDoseSRStorage,
)


@dataclass(frozen=True)
class SeriesKind:
    """A kind of series: what its headers say, and the reason curation must give (None: kept)."""

    name: str
    reason: str | None
    description: str
    slices: int = 5
    step_mm: float = 5.0
    modality: str = "CT"
    sop_class: str = CTImageStorage
    elements: Mapping[str, Any] = field(default_factory=dict)
    is_image: bool = True


THICK = SeriesKind("thick", None, "HEAD 5MM", slices=20)
THIN = SeriesKind("thin", None, "HEAD 2.5MM", slices=40, step_mm=2.5)
TILTED = SeriesKind("tilted", None, "HEAD 5MM", slices=20, elements={"GantryDetectorTilt": 15.0})
BONE = SeriesKind(
    "bone kernel", "sharp-kernel", "HEAD BONE", elements={"ConvolutionKernel": "BONE"}
)
LOCALIZER = SeriesKind(
    "localizer",
    "localizer",
    "SCOUT",
    slices=2,
    elements={"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]},
)
CTA = SeriesKind("CT angiography", "contrast", "CTA CAROTIDS AND HEAD")
WITH_CONTRAST = SeriesKind(
    "with contrast", "contrast", "HEAD 5MM", elements={"ContrastBolusAgent": "IOHEXOL"}
)
PERFUSION = SeriesKind("CT perfusion", "dynamic", "CT PERFUSION 4D")
CHEST = SeriesKind("chest CT", "not-a-head", "CHEST 5MM", elements={"BodyPartExamined": "CHEST"})
CORONAL = SeriesKind(
    "coronal reformat",
    "not-axial",
    "HEAD COR",
    elements={"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]},
)
PROJECTION = SeriesKind(
    "maximum intensity projection",
    "derived-image",
    "HEAD MIP",
    elements={"ImageType": ["DERIVED", "SECONDARY", "AXIAL", "MIP"]},
)
SLABS = SeriesKind("slabs of 10 mm", "thick-slices", "HEAD 10MM", slices=12, step_mm=10.0)
FEW = SeriesKind("a few slices", "too-few-slices", "HEAD 5MM")
CHILD = SeriesKind(
    "child",
    "under-age",
    "HEAD 5MM",
    slices=20,
    elements={"PatientAge": "009Y", "PatientBirthDate": None},
)
BURNED_IN = SeriesKind(
    "burned-in annotation",
    "burned-in-annotation",
    "HEAD 5MM",
    elements={"BurnedInAnnotation": "YES"},
)
MR = SeriesKind("MR", "wrong-modality", "T2 TSE", modality="MR", sop_class=MRImageStorage)
PET = SeriesKind(
    "PET",
    "wrong-modality",
    "BRAIN FDG",
    modality="PT",
    sop_class=PositronEmissionTomographyImageStorage,
)
CAPTURE = SeriesKind(
    "secondary capture",
    "secondary-capture",
    "SCREEN SAVE",
    slices=1,
    sop_class=SecondaryCaptureImageStorage,
)
DOSE = SeriesKind(
    "dose report",
    "dose-report",
    "DOSE REPORT",
    slices=1,
    modality="SR",
    sop_class=XRayRadiationDoseSRStorage,
    is_image=False,
)

OUTLINED = 12
MIXTURE: tuple[tuple[SeriesKind, int], ...] = (
    (THIN, 2),
    (THICK, 3),
    (TILTED, 2),
    (BONE, 7),
    (LOCALIZER, 8),
    (CTA, 4),
    (WITH_CONTRAST, 2),
    (PERFUSION, 1),
    (CHEST, 1),
    (CORONAL, 1),
    (PROJECTION, 1),
    (SLABS, 1),
    (FEW, 1),
    (CHILD, 1),
    (BURNED_IN, 1),
    (MR, 3),
    (PET, 1),
    (CAPTURE, 2),
    (DOSE, 6),
)
"""With twelve outlined series: sixty in all."""
