"""The input of a pipeline among the files of a study: selection, rules and completeness in one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from willis_models.errors import WillisError
from willis_models.pipelines.base import Pipeline, Role
from willis_service.adapters.dicom import headers
from willis_service.adapters.dicom.acquisition import kernel
from willis_service.adapters.dicom.files import SeriesListing, read_header, scan
from willis_service.adapters.dicom.header_cache import HeaderCache
from willis_service.adapters.dicom.kernels import sharpness
from willis_service.adapters.dicom.ruling import Ruling, Senders
from willis_service.adapters.dicom.series_names import called, kind_of
from willis_service.adapters.dicom.series_selection import (
    Chosen,
    Selection,
    consider_series,
)
from willis_service.adapters.dicom.series_shape import shape_of
from willis_service.application.ports import Choice, SeriesNote
from willis_service.domain.completeness import (
    Basis,
    Lack,
    Verdict,
    is_short_of_announced,
    judge,
    protocol_of,
)
from willis_service.domain.job import Priority
from willis_service.domain.rules import RuleSet

_MOST_REASONS = 20
# Series that may take the role after all once they are whole.
_RIVALS = frozenset({"LESS_SUITABLE", "TOO_FEW_SLICES", "TOO_FEW_TIME_POINTS"})


@dataclass(frozen=True)
class StudySelector:
    """The ``SeriesSelector`` of an installation.

    With a cache it reads each header once, and is for one thread; without one, for any number.
    """

    rules: RuleSet
    cache: HeaderCache | None = None

    def __call__(self, pipeline: Pipeline, files: Senders) -> Choice:
        """The choice among these files, each with its sender's AE title where that is known."""
        listings = scan(files, read_header if self.cache is None else self.cache.read)
        ruling = Ruling(self.rules, pipeline.name, files)
        needs = pipeline.needs
        ruled = consider_series(listings, pipeline.roles, needs, ruling)
        is_asked_for = _is_asked_for(ruled, pipeline)
        # Asked for by name, a pipeline takes what fits best whether or not a rule knows it.
        selection = ruled if is_asked_for else consider_series(listings, pipeline.roles, needs)
        chosen = [one.listing for one in selection.chosen.values()]
        rules = [one.rule for one in selection.chosen.values() if one.rule is not None]
        is_urgent = any(rule.priority is Priority.URGENT for rule in rules)
        return Choice(
            files=_files_of(chosen if selection.error is None else _candidates(selection)),
            watched=_files_of([*chosen, *_rivals(selection)]),
            is_asked_for=is_asked_for,
            verdict=_verdict(selection, pipeline, ruling),
            roles=_files_by_role(selection),
            rules=tuple(rule.name for rule in rules),
            priority=Priority.URGENT if is_urgent else Priority.ROUTINE,
            problem=_problem(selection.error),
            reasons=_reasons(ruled),
            notes=tuple(_notes(ruled)),
        )

    def forget(self, files: Sequence[Path]) -> None:
        """Let go of the headers of these files."""
        if self.cache is not None:
            self.cache.forget(files)


def _is_asked_for(ruled: Selection, pipeline: Pipeline) -> bool:
    """Whether a rule gives a series to one of the roles that can make the pipeline run."""
    needed = _needed(pipeline) or {role.name for role in pipeline.roles}
    return any(ruled.candidates[name] for name in needed)


def _needed(pipeline: Pipeline) -> frozenset[str]:
    """The roles that are part of a set which suffices."""
    return frozenset().union(*pipeline.sufficient)


def _files_by_role(selection: Selection) -> Mapping[str, tuple[Path, ...]]:
    """What the worker reads for each role; nothing where it is to meet the error again."""
    if selection.error is not None:
        return {}
    return {role: tuple(chosen.listing.files) for role, chosen in selection.chosen.items()}


def _problem(error: WillisError | None) -> str | None:
    return None if error is None else f"{error.code}: {error.message}"


def _candidates(selection: Selection) -> list[SeriesListing]:
    """Every series that a rule takes, each once."""
    every = (one for ones in selection.candidates.values() for one in ones)
    return list({id(one): one for one in every}.values())


def _rivals(selection: Selection) -> list[SeriesListing]:
    return [aside.listing for aside in selection.set_aside if aside.code in _RIVALS]


def _files_of(listings: Sequence[SeriesListing]) -> tuple[Path, ...]:
    return tuple(file for listing in listings for file in listing.files)


def _verdict(selection: Selection, pipeline: Pipeline, ruling: Ruling) -> Verdict:
    """Complete when every role's series is, and no other series is still on its way.

    The basis is that of the first role. Of ready maps all have to be
    there, though some of them suffice.
    """
    if selection.error is not None:
        return Lack.NO_SERIES
    roles = {role.name: role for role in pipeline.roles}
    needed = _needed(pipeline)
    verdicts = [
        _of_role(one, roles[name], ruling, name in needed) for name, one in selection.chosen.items()
    ]
    lack = next((one for one in verdicts if isinstance(one, Lack)), None)
    if lack is not None:
        return lack
    maps = {name for name, role in roles.items() if role.kind == "map"}
    if 0 < len(maps & selection.chosen.keys()) < len(maps):
        return Lack.OTHER_MAPS
    if any(_is_unfinished(aside.listing) for aside in selection.set_aside if aside.code in _RIVALS):
        return Lack.OTHER_SERIES
    return next((one for one in verdicts if isinstance(one, Basis)), Lack.NO_SERIES)


def _of_role(chosen: Chosen, role: Role, ruling: Ruling, is_needed: bool) -> Verdict:
    shape = shape_of(chosen.listing, role.kind)
    if shape is None:
        return Lack.NO_GEOMETRY
    verdict = judge(shape, protocol_of(role.kind, role.modality))
    is_first = chosen.rule is None or ruling.is_first_choice(chosen.rule, role)
    is_volume = role.kind == "volume"
    is_sharp = is_volume and sharpness(kernel(chosen.listing.headers[0])) == "sharp"
    if is_needed and isinstance(verdict, Basis) and (is_sharp or not is_first):
        return Lack.BETTER_MAY_FOLLOW
    return verdict


def _is_unfinished(listing: SeriesListing) -> bool:
    """Whether a series that was not chosen shows that more of it is to come."""
    shape = shape_of(listing)
    return shape is not None and (shape.has_gap or is_short_of_announced(shape))


def _reasons(selection: Selection) -> tuple[str, ...]:
    chosen = [one.why.rstrip(".") for one in selection.chosen.values()]
    aside = [f"{called(one.listing)}: {one.reason}" for one in selection.set_aside]
    every = [*chosen, *aside]
    left_out = len(every) - _MOST_REASONS
    return tuple(every if left_out <= 0 else [*every[:_MOST_REASONS], f"and {left_out} more"])


def _notes(selection: Selection) -> Iterator[SeriesNote]:
    for role, chosen in selection.chosen.items():
        rule = None if chosen.rule is None else chosen.rule.name
        yield _note(chosen.listing, role, rule, chosen.why)
    for aside in selection.set_aside:
        yield _note(aside.listing, None, None, f"{aside.code}: {aside.reason}")


def _note(listing: SeriesListing, role: str | None, rule: str | None, reason: str) -> SeriesNote:
    first = listing.headers[0] if listing.is_readable else None
    said = headers.text(first, "SeriesDescription") if first is not None else None
    return SeriesNote(listing.series_number, kind_of(listing), said or "", role, rule, reason)
