"""Which series of a study takes which role, and why every other one was set aside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from willis_models.errors import NoSuitableSeries, WillisError, WrongModality
from willis_models.pipelines.base import Role
from willis_service.adapters.dicom import headers
from willis_service.adapters.dicom.acquisition import kernel
from willis_service.adapters.dicom.files import SeriesListing
from willis_service.adapters.dicom.geometry import planes_of
from willis_service.adapters.dicom.kernels import Sharpness, sharpness
from willis_service.adapters.dicom.suitability import (
    Reason,
    is_localizer_image,
    reason_against,
)
from willis_service.domain.rules import Rule

_THICKEST_PREFERRED_MM = 5.5
_WHOLE_HEAD_MM = 120.0
_REASONABLE_SLICES = 300
_SOFT_FIRST: dict[Sharpness, int] = {"soft": 0, "unknown": 1, "sharp": 2}


Ruling = Callable[[SeriesListing, Role], Rule | str]
"""The rule that gives a series a role, or why none does."""


@dataclass(frozen=True)
class Chosen:
    """The series that takes a role, and why; ``rule`` is the one that gave it the role."""

    listing: SeriesListing
    why: str
    rule: Rule | None = None


@dataclass(frozen=True)
class SetAside:
    """A series that takes no role, with a stable code and the reason. Holds no free header text."""

    series_instance_uid: str
    series_number: int | None
    kind: str
    code: str
    reason: str
    listing: SeriesListing = field(repr=False, compare=False)


@dataclass(frozen=True)
class Selection:
    """The series by role, and all the others.

    ``candidates`` are the series that the rules allow for each role, whether or not they fit;
    ``error`` is why the selection is no input.
    """

    chosen: Mapping[str, Chosen]
    set_aside: tuple[SetAside, ...]
    candidates: Mapping[str, Sequence[SeriesListing]]
    error: WillisError | None = None


def select_series(listings: Iterable[SeriesListing], roles: tuple[Role, ...]) -> Selection:
    """Choose the best series for each role.

    Raises NoSuitableSeries where a required role stays empty or the files belong to several
    studies, or the one named error that stands against every candidate (ContrastGiven,
    LossyPixels, TooFewSlices, ...).
    """
    selection = consider_series(listings, roles)
    if selection.error is not None:
        raise selection.error
    return selection


def consider_series(
    listings: Iterable[SeriesListing], roles: Sequence[Role], ruling: Ruling | None = None
) -> Selection:
    """As ``select_series``, with the error in the answer; rules decide first where they are given.

    A series takes a role when a rule gives it and nothing speaks against it. Of several, the rule
    of the lowest rank decides, then the merits of the series.
    """
    listings = tuple(listings)
    error = _of_several_studies(listings)
    remaining = [part for listing in listings for part in _without_localizers(listing)]
    chosen: dict[str, Chosen] = {}
    candidates: dict[str, Sequence[SeriesListing]] = {}
    reasons: dict[int, tuple[SeriesListing, Reason]] = {}
    for role in roles:
        ruled = {id(one): ruling(one, role) if ruling else None for one in remaining}
        candidates[role.name] = [one for one in remaining if not isinstance(ruled[id(one)], str)]
        against = {id(one): (one, _reason(one, role, ruled[id(one)])) for one in remaining}
        fitting = [one for one, reason in against.values() if reason is None]
        refused = {key: (one, why) for key, (one, why) in against.items() if why is not None}
        if not fitting and role.required:
            error = error or _nothing_fits(role, list(refused.values()))
        if fitting:
            best = min(fitting, key=lambda one: (_rank(ruled[id(one)]), *_preference(one)))
            rule = _as_rule(ruled[id(best)])
            chosen[role.name] = Chosen(best, _why(best, len(fitting), rule), rule)
            refused |= {id(one): (one, _worse(best)) for one in fitting if one is not best}
            remaining = [one for one in remaining if one is not best]
        reasons = refused | reasons
    aside = (reasons[id(one)] for one in remaining if id(one) in reasons)
    set_aside = tuple(_set_aside(one, reason) for one, reason in aside)
    return Selection(chosen, set_aside, candidates, error)


def _reason(listing: SeriesListing, role: Role, ruled: Rule | str | None) -> Reason | None:
    return Reason("NO_RULE", ruled) if isinstance(ruled, str) else reason_against(listing, role)


def _as_rule(ruled: Rule | str | None) -> Rule | None:
    return ruled if isinstance(ruled, Rule) else None


def _rank(ruled: Rule | str | None) -> int:
    rule = _as_rule(ruled)
    return 0 if rule is None else rule.rank


def _of_several_studies(listings: tuple[SeriesListing, ...]) -> WillisError | None:
    studies = {listing.study_instance_uid for listing in listings} - {""}
    if len(studies) < 2:
        return None
    return NoSuitableSeries(
        f"The files belong to {len(studies)} studies: analyse one study at a time."
    )


def _without_localizers(listing: SeriesListing) -> Iterator[SeriesListing]:
    """A series as it is; or, where localizers were stored inside it, in two parts."""
    apart = [is_localizer_image(header) for header in listing.headers]
    if not any(apart) or all(apart):
        yield listing
        return
    for localizer in (False, True):
        kept = [n for n, is_one in enumerate(apart) if is_one is localizer]
        yield replace(
            listing,
            files=tuple(listing.files[n] for n in kept),
            headers=tuple(listing.headers[n] for n in kept),
        )


def _nothing_fits(role: Role, refused: list[tuple[SeriesListing, Reason]]) -> WillisError:
    """The named error if only one stands against all candidates, else all reasons in one.

    What can't be a candidate at all (a localizer, a report) does not count; another modality
    counts only where there is nothing else.
    """
    named = {reason.error for _, reason in refused if reason.error is not None}
    candidates = named - {WrongModality} or named
    technical = any(reason.error is None and _is_candidate(reason) for _, reason in refused)
    summary = "; ".join(f"{called(one)}: {reason.text}" for one, reason in refused)
    message = f"No series fits as {role.title}. {summary or 'There is no series at all'}."
    if len(candidates) == 1 and not technical:
        return candidates.pop()(message)
    return NoSuitableSeries(message)


def _is_candidate(reason: Reason) -> bool:
    """Whether a series with this reason was a scan of the right kind all the same."""
    return reason.code in {"DYNAMIC_SERIES", "NOT_AXIAL", "DERIVED_IMAGE"}


def _set_aside(listing: SeriesListing, reason: Reason) -> SetAside:
    return SetAside(
        series_instance_uid=listing.series_instance_uid,
        series_number=listing.series_number,
        kind=kind_of(listing),
        code=reason.code,
        reason=reason.text,
        listing=listing,
    )


def kind_of(listing: SeriesListing) -> str:
    """``CT, 32 images``."""
    if not listing.is_readable:
        return _counted(len(listing.files), "file")
    return f"{listing.modality or 'unknown modality'}, {_counted(listing.image_count, 'image')}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def called(listing: SeriesListing) -> str:
    """``Series 2 (CT, 32 images)``."""
    number = listing.series_number
    name = "Series without number" if number is None else f"Series {number}"
    return f"{name if listing.is_readable else 'Other'} ({kind_of(listing)})"


def _worse(best: SeriesListing) -> Reason:
    return Reason("LESS_SUITABLE", f"fits, but {called(best).lower()} was preferred")


@dataclass(frozen=True)
class _Merits:
    """What speaks for a series that fits."""

    is_original: bool
    kernel: str | None
    thickness_mm: float
    coverage_mm: float
    slices: int


def _merits(listing: SeriesListing) -> _Merits:
    header = listing.headers[0]
    planes = [plane for one in listing.headers for plane in planes_of(one)]
    normal = np.cross(planes[0].row_lps, planes[0].column_lps)
    distances = [float(plane.origin_lps @ normal) for plane in planes]
    coverage_mm = max(distances) - min(distances)
    step_mm = coverage_mm / max(len(planes) - 1, 1)
    kinds = headers.texts(header, "ImageType")[:2]
    return _Merits(
        is_original=kinds == ("ORIGINAL", "PRIMARY"),
        kernel=kernel(header),
        thickness_mm=planes[0].thickness_mm or step_mm,
        coverage_mm=coverage_mm,
        slices=len(planes),
    )


def _preference(listing: SeriesListing) -> tuple[float, ...]:
    """Smaller is better: original, soft kernel, whole head, not thick, many slices, first."""
    merits = _merits(listing)
    within_reason = min(merits.slices, _REASONABLE_SLICES)
    return (
        not merits.is_original,
        _SOFT_FIRST[sharpness(merits.kernel)],
        -min(merits.coverage_mm, _WHOLE_HEAD_MM) // 10,
        merits.thickness_mm > _THICKEST_PREFERRED_MM,
        -within_reason,
        merits.slices - within_reason,
        listing.series_number or 0,
    )


def _why(listing: SeriesListing, fitting: int, rule: Rule | None) -> str:
    merits = _merits(listing)
    origin = "original" if merits.is_original else "derived"
    soft = {"soft": "soft-tissue kernel", "sharp": "sharp kernel", "unknown": "kernel"}
    used = f"{soft[sharpness(merits.kernel)]} {merits.kernel or 'not stated'}"
    choice = "the only series that fits" if fitting == 1 else f"the best of {fitting} that fit"
    given = "" if rule is None else f"rule '{rule.name}'; "
    return (
        f"{called(listing)}: {given}{choice}; {origin} images, {used}, slices of "
        f"{merits.thickness_mm:g} mm covering {merits.coverage_mm:.0f} mm."
    )
