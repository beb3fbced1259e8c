"""Rules: which series goes to which role of which pipeline. Read from text in ``rule_file``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from willis_service.domain.job import Priority

KernelClass = Literal["soft", "sharp", "unknown"]
SeriesKind = Literal["volume", "dynamic", "map"]
SERIES_KINDS: tuple[SeriesKind, ...] = ("volume", "dynamic", "map")
KERNEL_CLASSES: tuple[KernelClass, ...] = ("soft", "sharp", "unknown")


@dataclass(frozen=True)
class SeriesTraits:
    """What a rule can ask about a series; text is empty where the header says nothing.

    ``senders`` are the calling AE titles that its images came from; None where that is not known,
    as in a dry run over a folder: then no rule is held against it.
    """

    modality: str
    images: int
    description: str = ""
    kernel: str = ""
    kernel_class: KernelClass = "unknown"
    thickness_mm: float | None = None
    has_contrast: bool = False
    body_part: str = ""
    senders: frozenset[str] | None = None
    kind: SeriesKind = "volume"


@dataclass(frozen=True)
class Rule:
    """Series that meet every condition go to one role of one pipeline.

    A condition that is None is not asked. Of the rules of a role the one with the lowest ``rank``
    decides; among the series of one rank the better one is taken.
    """

    name: str
    pipeline: str
    role: str
    rank: int
    priority: Priority = Priority.ROUTINE
    modality: str | None = None
    description: re.Pattern[str] | None = None
    kernel: re.Pattern[str] | None = None
    kernel_classes: frozenset[str] | None = None
    thickness_mm: tuple[float, float] | None = None
    contrast: bool | None = None
    body_part: re.Pattern[str] | None = None
    senders: frozenset[str] | None = None
    min_slices: int = 0
    kinds: frozenset[str] | None = None

    @property
    def conditions(self) -> tuple[str, ...]:
        """Every condition in words, as it was understood."""
        thickness = self.thickness_mm and "thickness {:g} to {:g} mm".format(*self.thickness_mm)
        contrast = {None: None, True: "with contrast", False: "without contrast"}[self.contrast]
        said = (
            self.modality and f"modality {self.modality}",
            self.kinds and f"kind {' or '.join(sorted(self.kinds))}",
            self.description and f"description like {self.description.pattern}",
            self.kernel and f"kernel like {self.kernel.pattern}",
            self.kernel_classes and f"kernel {' or '.join(sorted(self.kernel_classes))}",
            thickness,
            contrast,
            self.body_part and f"body part like {self.body_part.pattern}",
            self.senders and f"from {' or '.join(sorted(self.senders))}",
            self.min_slices and f"at least {self.min_slices} images",
        )
        return tuple(one for one in said if one)

    def mismatch(self, series: SeriesTraits) -> str | None:
        """The first condition that the series does not meet, in words; None where it meets all.

        The words quote no free text of the header, since that may name a patient.
        """
        return next(self._mismatches(series), None)

    def _mismatches(self, series: SeriesTraits) -> Iterator[str]:
        if self.modality is not None and series.modality != self.modality:
            yield f"modality is {series.modality or 'not stated'}, not {self.modality}"
        if self.kinds is not None and series.kind not in self.kinds:
            yield f"kind is {series.kind}, not {' or '.join(sorted(self.kinds))}"
        if _is_known_otherwise(self.senders, series.senders):
            yield "sent by another AE title"
        yield from self._text_mismatches(series)
        if self.kernel_classes is not None and series.kernel_class not in self.kernel_classes:
            yield f"kernel is {series.kernel_class}, not {' or '.join(sorted(self.kernel_classes))}"
        if self.contrast is not None and series.has_contrast != self.contrast:
            yield "with contrast agent" if series.has_contrast else "without contrast agent"
        if self.thickness_mm is not None:
            yield from _outside(self.thickness_mm, series.thickness_mm)
        if series.images < self.min_slices:
            yield f"{series.images} images, at least {self.min_slices} are asked for"

    def _text_mismatches(self, series: SeriesTraits) -> Iterator[str]:
        asked = (
            ("description", self.description, series.description),
            ("kernel", self.kernel, series.kernel),
            ("body part", self.body_part, series.body_part),
        )
        for name, pattern, stated in asked:
            if pattern is not None and not pattern.search(stated):
                yield f"{name} does not match" if stated else f"{name} is not stated"


def _is_known_otherwise(asked: frozenset[str] | None, known: frozenset[str] | None) -> bool:
    return asked is not None and known is not None and not asked & known


def _outside(limits_mm: tuple[float, float], stated_mm: float | None) -> Iterator[str]:
    low, high = limits_mm
    if stated_mm is None:
        yield "slice thickness is not stated"
    elif not low <= stated_mm <= high:
        yield f"slices of {stated_mm:g} mm, not {low:g} to {high:g} mm"


@dataclass(frozen=True)
class RuleSet:
    """The rules of an installation."""

    rules: tuple[Rule, ...]

    def of(self, pipeline: str, role: str) -> tuple[Rule, ...]:
        """The rules of one role, lowest rank first."""
        mine = [r for r in self.rules if (r.pipeline, r.role) == (pipeline, role)]
        return tuple(sorted(mine, key=lambda rule: rule.rank))

    def match(self, pipeline: str, role: str, series: SeriesTraits) -> Rule | str:
        """The first rule of the role that takes the series, or why none does."""
        reasons = []
        for rule in self.of(pipeline, role):
            reason = rule.mismatch(series)
            if reason is None:
                return rule
            reasons.append(f"rule '{rule.name}': {reason}")
        return "; ".join(reasons) or "no rule for this role"

    def with_default(self, pipeline: str, roles: Iterable[tuple[str, str, str]]) -> RuleSet:
        """These rules, and for each (role, modality, kind) that has none: any such series.

        A volume is asked for its modality only, so that what is none is rejected with its reason.
        """
        added = [
            Rule(
                name=f"any {modality}" if kind == "volume" else f"any {modality} {kind}",
                pipeline=pipeline,
                role=role,
                rank=1,
                modality=modality,
                kinds=None if kind == "volume" else frozenset({kind}),
            )
            for role, modality, kind in roles
            if not self.of(pipeline, role)
        ]
        return RuleSet((*self.rules, *added))
