"""Checks of the acquisition before any work is done; rules of ``docs/reading-dicom.md``."""

from __future__ import annotations

from collections.abc import Iterator

from willis_models.errors import ContrastGiven, TooFewSlices
from willis_models.findings import QualityItem
from willis_models.manifest import Manifest
from willis_models.pipelines.acquisition import general_items, reject, unsaid
from willis_models.pipelines.aspects.parameters import CheckParameters, parameters_of
from willis_models.pipelines.aspects.prepare import ROLE
from willis_models.pipelines.base import Acquisition, Case


def check(case: Case, manifest: Manifest) -> tuple[QualityItem, ...]:
    """Quality items of the non-contrast CT: the reader's own, then what it did not say already."""
    image = case[ROLE]
    limits = parameters_of(manifest).check
    return unsaid(image.acquisition, _items(image.acquisition, image.stack.shape[0], limits))


def _items(acquisition: Acquisition, slices: int, limits: CheckParameters) -> Iterator[QualityItem]:
    yield from general_items(acquisition, "CT", limits.min_age_years)
    if acquisition.contrast_agent:
        said = "Contrast agent was given; this needs non-contrast CT."
        yield reject(ContrastGiven, said)
    if slices < limits.min_slices:
        yield reject(TooFewSlices, f"{slices} slices; at least {limits.min_slices} are needed.")
    yield from _exposure(acquisition, limits)


def _exposure(acquisition: Acquisition, limits: CheckParameters) -> Iterator[QualityItem]:
    kvp, thickness = acquisition.kvp, acquisition.slice_thickness_mm
    if kvp is not None:
        inside = limits.min_kvp <= kvp <= limits.max_kvp
        yield QualityItem(
            code="TUBE_VOLTAGE",
            outcome="pass" if inside else "reject",
            message=f"Tube voltage; {limits.min_kvp:.0f}-{limits.max_kvp:.0f} kV is accepted.",
            value=kvp,
            unit="kV",
        )
    if thickness is not None:
        inside = thickness <= limits.max_slice_thickness_mm
        yield QualityItem(
            code="SLICE_THICKNESS",
            outcome="pass" if inside else "reject",
            message=f"Slice thickness; at most {limits.max_slice_thickness_mm:.0f} mm is accepted.",
            value=thickness,
            unit="mm",
        )
