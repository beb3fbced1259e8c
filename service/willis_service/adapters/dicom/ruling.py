"""The rules of the installation, asked about DICOM series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from willis_models.pipelines.base import Role
from willis_service.adapters.dicom import headers
from willis_service.adapters.dicom.acquisition import body_part, kernel
from willis_service.adapters.dicom.files import SeriesListing
from willis_service.adapters.dicom.kernels import sharpness
from willis_service.adapters.dicom.map_traits import is_own_map
from willis_service.adapters.dicom.series_traits import kind_of_series
from willis_service.adapters.dicom.suitability import shows_contrast
from willis_service.domain.rules import Rule, RuleSet, SeriesTraits

Senders = Mapping[Path, str | None]
"""The AE title that each file came from; None where that is not known."""


@dataclass(frozen=True)
class Ruling:
    """What the rules of one pipeline say of a series."""

    rules: RuleSet
    pipeline: str
    senders: Senders
    _known: dict[int, tuple[SeriesListing, SeriesTraits]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __call__(self, listing: SeriesListing, role: Role) -> Rule | str:
        """The rule that gives the series the role, or why none does."""
        if not listing.is_readable:
            return "not in DICOM format"
        if is_own_map(listing.headers[0]):
            return "a result of this service"  # which a PACS sent back
        return self.rules.match(self.pipeline, role.name, self._traits(listing))

    def _traits(self, listing: SeriesListing) -> SeriesTraits:
        """Found once for all roles: a dynamic series has a thousand headers."""
        if id(listing) not in self._known:
            self._known[id(listing)] = (listing, traits_of(listing, self.senders))
        return self._known[id(listing)][1]

    def is_first_choice(self, rule: Rule, role: Role) -> bool:
        """Whether no rule of the role is asked before this one."""
        return rule.rank == self.rules.of(self.pipeline, role.name)[0].rank


def traits_of(listing: SeriesListing, senders: Senders) -> SeriesTraits:
    """What a rule can ask about a readable series."""
    header = listing.headers[0]
    keyword = "SliceThickness"
    measures = headers.group_item(header, "PixelMeasuresSequence", keyword)
    named = (headers.text(header, one) for one in ("SeriesDescription", "ProtocolName"))
    known = [senders.get(file) for file in listing.files]
    return SeriesTraits(
        modality=listing.modality or "",
        images=listing.image_count,
        description=next((one for one in named if one), ""),
        kernel=kernel(header) or "",
        kernel_class=sharpness(kernel(header)),
        thickness_mm=headers.number(measures, keyword),
        has_contrast=shows_contrast(listing),
        body_part=body_part(header) or "",
        senders=None if None in known else frozenset(one for one in known if one is not None),
        kind=kind_of_series(listing),
    )
