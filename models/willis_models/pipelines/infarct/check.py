"""Checks of the headers before any work is done; rules of ``docs/reading-dicom.md``."""

from __future__ import annotations

from collections.abc import Iterator

from willis_models.codes import MAP_UNITS
from willis_models.errors import NoSuitableSeries, TooFewSlices, UnsuitableSeries
from willis_models.findings import QualityItem
from willis_models.manifest import Manifest
from willis_models.pipelines.acquisition import general_items, quality_item, reject, unsaid
from willis_models.pipelines.base import Case, InputImage
from willis_models.pipelines.infarct.parameters import CheckParameters, parameters_of
from willis_models.pipelines.infarct.roles import CTP, MAP_ROLES, NEEDS, STILL_ROLES


def check(case: Case, manifest: Manifest) -> tuple[QualityItem, ...]:
    """Quality items of what perfusion is measured from, and what is missing beside it."""
    if not any(need <= case.keys() for need in NEEDS):
        said = "A CT perfusion series, or maps of Tmax and CBF, are needed; neither is there."
        return (reject(NoSuitableSeries, said),)
    role = CTP if CTP in case else "tmax"
    image, limits = case[role], parameters_of(manifest).check
    items = unsaid(image.acquisition, _items(case, role, image, limits))
    return (*items, *_missing(case))


def _items(
    case: Case, role: str, image: InputImage, limits: CheckParameters
) -> Iterator[QualityItem]:
    yield from general_items(image.acquisition, "CT", limits.min_age_years)
    slices = image.stack.shape[0]
    if slices < limits.min_slices:
        yield reject(TooFewSlices, f"{slices} slices; at least {limits.min_slices} are needed.")
    if role == CTP and image.dynamic is None:
        yield reject(UnsuitableSeries, "The CT perfusion series holds one time point only.")
    if role != CTP:
        yield from _map_items(case)


def _map_items(case: Case) -> Iterator[QualityItem]:
    for role in MAP_ROLES:
        unit = case[role].unit if role in case else None
        if unit is not None and unit != MAP_UNITS[role]:
            said = f"The map {role} is in {unit}; {MAP_UNITS[role]} is needed."
            yield reject(UnsuitableSeries, said)
    said = "Perfusion was taken from maps that were sent; how they were made was not checked."
    yield quality_item("READY_MAPS", "warn", said)


def _missing(case: Case) -> Iterator[QualityItem]:
    """The network does without these, and says so."""
    for role in STILL_ROLES:
        if role not in case:
            said = f"No {role.upper()} was there; the prediction was made without it."
            yield quality_item(f"NO_{role.upper()}", "pass", said)
