"""Which series of a study takes which role, and why every other one was set aside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from willis_models.errors import NoSuitableSeries, WillisError
from willis_models.pipelines.base import Role
from willis_service.adapters.dicom.files import SeriesListing
from willis_service.adapters.dicom.reasons import Reason
from willis_service.adapters.dicom.selection_errors import Missing, nothing_fits, nothing_suffices
from willis_service.adapters.dicom.series_groups import with_groups
from willis_service.adapters.dicom.series_merits import preference, why_chosen
from willis_service.adapters.dicom.series_names import called, kind_of
from willis_service.adapters.dicom.suitability import is_localizer_image, reason_against
from willis_service.domain.rules import Rule

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


def select_series(
    listings: Iterable[SeriesListing],
    roles: Sequence[Role],
    needs: Sequence[frozenset[str]] = (),
) -> Selection:
    """Choose the best series for each role.

    Raises NoSuitableSeries where a required role stays empty, where none of ``needs`` (sets of
    roles that each suffice) is full, or where the files belong to several studies; or the one named
    error that stands against every candidate (ContrastGiven, LossyPixels, TooFewSlices, ...).
    """
    selection = consider_series(listings, roles, needs)
    if selection.error is not None:
        raise selection.error
    return selection


def consider_series(
    listings: Iterable[SeriesListing],
    roles: Sequence[Role],
    needs: Sequence[frozenset[str]] = (),
    ruling: Ruling | None = None,
) -> Selection:
    """As ``select_series``, with the error in the answer; rules decide first where they are given.

    A series takes a role when a rule gives it and nothing speaks against it. Of several, the rule
    of the lowest rank decides, then the merits of the series. Series that are one acquisition are
    taken as one (``series_groups``).
    """
    listings = with_groups(listings)
    error = _of_several_studies(listings)
    parts = [part for listing in listings for part in _without_localizers(listing)]
    casting = _Casting(parts, ruling)
    for role in roles:
        missing = casting.fill(role)
        if missing is not None and role.required:
            error = error or nothing_fits(missing)
    error = error or nothing_suffices(needs, casting.missing)
    if error is None:
        casting.release(_surplus(needs, casting.chosen, roles))
    return Selection(casting.chosen, casting.set_aside(), casting.candidates, error)


@dataclass
class _Casting:
    """Gives roles to series, one role after the other; a series takes one role at the most."""

    remaining: list[SeriesListing]
    ruling: Ruling | None
    chosen: dict[str, Chosen] = field(default_factory=dict)
    candidates: dict[str, Sequence[SeriesListing]] = field(default_factory=dict)
    missing: dict[str, Missing] = field(default_factory=dict)
    _reasons: dict[int, Reason] = field(default_factory=dict)
    """Why a series takes no role, by its identity: the reason of the first role that refused it."""

    def fill(self, role: Role) -> Missing | None:
        """Choose the best of the series that fit; where none does, the reasons of all."""
        ruled = {id(one): self.ruling(one, role) if self.ruling else None for one in self.remaining}
        self.candidates[role.name] = [
            one for one in self.remaining if not isinstance(ruled[id(one)], str)
        ]
        against = [(one, _reason(one, role, ruled[id(one)])) for one in self.remaining]
        fitting = [one for one, reason in against if reason is None]
        refused = [(one, reason) for one, reason in against if reason is not None]
        if not fitting:
            self._note(refused)
            self.missing[role.name] = Missing(role, tuple(refused))
            return self.missing[role.name]
        best = min(fitting, key=lambda one: (_rank(ruled[id(one)]), *preference(one, role)))
        rule = _as_rule(ruled[id(best)])
        self.chosen[role.name] = Chosen(best, why_chosen(best, len(fitting), rule), rule)
        self.remaining = [one for one in self.remaining if one is not best]
        self._note([*refused, *((one, _worse(best)) for one in fitting if one is not best)])
        return None

    def release(self, roles: Iterable[str]) -> None:
        """Take roles back: their series fit, and are not needed."""
        for name in roles:
            spare = self.chosen.pop(name).listing
            self.remaining.append(spare)
            self._reasons[id(spare)] = Reason("NOT_NEEDED", "fits, but is not needed beside others")

    def set_aside(self) -> tuple[SetAside, ...]:
        """The series without a role, each with its reason."""
        aside = (one for one in self.remaining if id(one) in self._reasons)
        return tuple(_set_aside(one, self._reasons[id(one)]) for one in aside)

    def _note(self, refused: Iterable[tuple[SeriesListing, Reason]]) -> None:
        for one, reason in refused:
            self._reasons.setdefault(id(one), reason)


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


def _surplus(
    needs: Sequence[frozenset[str]], chosen: Mapping[str, Chosen], roles: Sequence[Role]
) -> list[str]:
    """Roles that only stand for another way to the same: ready maps beside the series itself."""
    full = next((need for need in needs if need <= chosen.keys()), None)
    if full is None:
        return []
    kinds = {role.name: role.kind for role in roles}
    others = {kinds[name] for need in needs if need != full for name in need}
    others -= {kinds[name] for name in full} | {"volume"}
    return [name for name in chosen if kinds[name] in others]


def _set_aside(listing: SeriesListing, reason: Reason) -> SetAside:
    return SetAside(
        series_instance_uid=listing.series_instance_uid,
        series_number=listing.series_number,
        kind=kind_of(listing),
        code=reason.code,
        reason=reason.text,
        listing=listing,
    )


def _worse(best: SeriesListing) -> Reason:
    return Reason("LESS_SUITABLE", f"fits, but {called(best).lower()} was preferred")
