"""How a series was acquired: contrast, body part, kernel, age. No patient identifier."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pydicom import Dataset

from willis_models.findings import QualityItem
from willis_models.pipelines.base import Acquisition
from willis_service.adapters.dicom import headers
from willis_service.adapters.dicom.pixels import is_lossy

_NO_CONTRAST = frozenset({"NONE", "NO", "NON", "N", "0", "NIL", "WITHOUT", "N/A", "NA", "NULL"})
# PS3.16 CID 4 terms, and what scanners write in their place.
_HEAD = re.compile(r"HEAD|BRAIN|SKULL|CRANI|CEREB|NEURO|KOPF|TETE|SCH(A|AE|Ä)DEL")
_ELSEWHERE = re.compile(
    r"CHEST|THORAX|LUNG|ABDOM|PELVI|SPINE|NECK|HEART|CARDIAC|CORONARY|LIVER|KIDNEY|COLON|BREAST"
    r"|EXTREM|KNEE|LEG|FOOT|ANKLE|HIP|FEMUR|ARM|HAND|WRIST|ELBOW|SHOULDER|WHOLEBODY|WHOLE BODY"
)


def contrast_agent(header: Dataset) -> str | None:
    """What the header says about contrast agent, or None where it says nothing or "none"."""
    for item in (header, *(headers.value(header, "ContrastBolusAgentSequence") or ())):
        stated = (
            headers.text(item, "ContrastBolusAgent"),
            headers.text(item, "ContrastBolusRoute"),
            headers.text(item, "CodeMeaning"),
        )
        agent = next((one for one in stated if one and one.upper() not in _NO_CONTRAST), None)
        if agent is not None:
            return agent
    volume_ml = headers.number(header, "ContrastBolusVolume")
    return f"{volume_ml:g} mL" if volume_ml else None


def body_part(header: Dataset) -> str | None:
    """BodyPartExamined (0018,0015), else the coded anatomic region."""
    stated = headers.text(header, "BodyPartExamined")
    if stated is not None:
        return stated
    anatomy = headers.group_item(header, "FrameAnatomySequence", "AnatomicRegionSequence")
    regions = headers.value(anatomy, "AnatomicRegionSequence") or ()
    return next((headers.text(region, "CodeMeaning") for region in regions), None)


def is_elsewhere(part: str | None) -> bool:
    """Whether a body part is plainly not the head; an unknown word is left to the anatomy check."""
    name = (part or "").upper()
    return _HEAD.search(name) is None and _ELSEWHERE.search(name) is not None


def kernel(header: Dataset) -> str | None:
    """ConvolutionKernel (0018,1210)."""
    keyword = "ConvolutionKernel"
    return headers.text(headers.group_item(header, "CTReconstructionSequence", keyword), keyword)


def gantry_tilt_deg(header: Dataset) -> float | None:
    """GantryDetectorTilt (0018,1120); its sign differs between makers."""
    keyword = "GantryDetectorTilt"
    item = headers.group_item(header, "CTAcquisitionDetailsSequence", keyword)
    return headers.number(item, keyword)


def acquisition_of(
    datasets: Iterable[Dataset],
    thickness_mm: float | None,
    source_items: tuple[QualityItem, ...],
) -> Acquisition:
    """The acquisition as the checks need it. Contrast in any of the images counts."""
    every = tuple(datasets)
    header = every[0]
    kvp = headers.number(headers.group_item(header, "CTXRayDetailsSequence", "KVP"), "KVP")
    agents = (contrast_agent(one) for one in every)
    return Acquisition(
        modality=headers.text(header, "Modality"),
        body_part=body_part(header),
        description=headers.text(header, "SeriesDescription"),
        patient_age_years=headers.age_years(header),
        kvp=kvp or None,
        contrast_agent=next((agent for agent in agents if agent is not None), None),
        slice_thickness_mm=thickness_mm,
        kernel=kernel(header),
        manufacturer=headers.text(header, "Manufacturer"),
        scanner_model=headers.text(header, "ManufacturerModelName"),
        lossy=any(is_lossy(one) for one in every),
        source_items=source_items,
    )
