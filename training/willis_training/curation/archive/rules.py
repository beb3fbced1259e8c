"""The rules of curation as data: which series are kept, what overlays mean, what a good label is.

Read from one YAML file. An unknown key, an unknown fact or a pattern that is no regular expression
is refused when the file is read, before any work is done.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from willis_models.codes import ASPECTS_REGIONS
from willis_training.curation.archive.series import FACTS, Fact, Series
from willis_training.curation.outlines import Filling

SHIPPED_RULES = "ncct_head"


class RulesInvalid(ValueError):
    """The rules file can't be used; the message names the place."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _is_fact(name: str) -> str:
    if name not in FACTS:
        raise ValueError(f"no such fact; the facts are {', '.join(sorted(FACTS))}")
    return name


def _is_pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return text


def _is_region(name: str) -> str:
    if name not in ASPECTS_REGIONS:
        raise ValueError(f"no such region; the regions are {', '.join(ASPECTS_REGIONS)}")
    return name


FactName = Annotated[str, AfterValidator(_is_fact)]
Pattern = Annotated[str, AfterValidator(_is_pattern)]
RegionName = Annotated[str, AfterValidator(_is_region)]


class Requirement(_Frozen):
    """One fact must be so, or the series is set aside for ``reason``.

    Of the tests given, all must hold. ``any_of``, ``none_of`` and the patterns look at each value
    of a fact that has several (``image_type``). Patterns are searched in upper case. ``unless``
    excuses a series whose description matches. ``missing`` says what a silent header means.
    """

    reason: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    fact: FactName
    any_of: tuple[str | float, ...] | None = None
    none_of: tuple[str | float, ...] | None = None
    at_least: float | None = None
    at_most: float | None = None
    matches: Pattern | None = None
    matches_not: Pattern | None = None
    unless_description: Pattern | None = None
    missing: Literal["keep", "set-aside"] = "keep"

    def speaks_against(self, facts: Mapping[str, Fact]) -> bool:
        """Whether the series fails this requirement."""
        fact = facts[self.fact]
        if fact is None or fact == ():
            return self.missing == "set-aside"
        if self.unless_description and re.search(
            self.unless_description, str(facts["description"] or "")
        ):
            return False
        return not self._holds(fact if isinstance(fact, tuple) else (fact,))

    def _holds(self, values: tuple[Any, ...]) -> bool:
        texts = [str(value).upper() for value in values]
        return all(
            (
                self.any_of is None or any(value in self.any_of for value in values),
                self.none_of is None or not any(value in self.none_of for value in values),
                self.at_least is None or all(float(value) >= self.at_least for value in values),
                self.at_most is None or all(float(value) <= self.at_most for value in values),
                self.matches is None or any(re.search(self.matches, t) for t in texts),
                self.matches_not is None or not any(re.search(self.matches_not, t) for t in texts),
            )
        )


class Preference(_Frozen):
    """Of several series of one study that fit, the one with less (or more) of a fact comes first.

    ``first`` puts series whose fact matches a pattern in front.
    """

    fact: FactName
    order: Literal["ascending", "descending"] = "ascending"
    first: Pattern | None = None

    def key(self, facts: Mapping[str, Fact]) -> tuple[bool, float]:
        """Smaller is better; a missing fact comes last."""
        fact = facts[self.fact]
        if self.first is not None:
            return fact is None, 0.0 if re.search(self.first, str(fact or "")) else 1.0
        if not isinstance(fact, int | float):
            return True, 0.0
        return False, float(fact) if self.order == "ascending" else -float(fact)


class Selection(_Frozen):
    """Which series are kept. The first requirement that fails gives the reason."""

    require: tuple[Requirement, ...]
    keep: Literal["all", "best"] = "all"
    prefer: tuple[Preference, ...] = ()


class OverlayMeaning(_Frozen):
    """Planes whose label or description matches stand for a region.

    ``side`` "by-position" gives each piece of the outline to the hemisphere in which it lies, once
    the head is aligned with the template.
    """

    matches: Pattern
    region: RegionName
    side: Literal["left", "right", "by-position"]


class OutlineRules(_Frozen):
    """How broken outlines become areas."""

    speck_pixels: int = Field(ge=0)
    closing_mm: tuple[float, ...] = Field(min_length=1)
    settled_share: float = Field(gt=0, le=1)
    min_area_mm2: float = Field(ge=0)
    max_skipped_mm: float = Field(ge=0)

    def filling(self) -> Filling:
        """The part that one outline needs."""
        return Filling(self.speck_pixels, self.closing_mm, self.settled_share, self.min_area_mm2)


class RegistrationRules(_Frozen):
    """SyN from the head to the template; cross-correlation in a window of ``radius`` voxels."""

    spacing_mm: float = Field(gt=0)
    iterations: tuple[int, ...]
    radius: int = Field(ge=1)
    outline_iterations: tuple[int, ...]
    outline_sigma_mm: float = Field(gt=0)


class LabelLimits(_Frozen):
    """Bounds outside which a labelled case is set aside."""

    min_jacobian: float
    jacobian_p01: float
    jacobian_p99: float
    max_folded_share: float
    inverse_error_p95_mm: float
    min_similarity: float
    min_overlap: float
    min_regions_compared: int


class LabelRules(_Frozen):
    """Label transfer: overlays to regions, registrations, and the limits of a usable case."""

    without_overlays: bool
    own_outlines_win: bool
    overlays: tuple[OverlayMeaning, ...]
    outlines: OutlineRules
    registration: RegistrationRules
    limits: LabelLimits

    def meaning_of(self, plane_name: str) -> OverlayMeaning | None:
        """What a plane stands for; None where no line matches its name."""
        name = plane_name.upper()
        return next((one for one in self.overlays if re.search(one.matches, name)), None)


class CurationRules(_Frozen):
    """Everything that changes what curation makes."""

    name: str
    description: str
    selection: Selection
    labels: LabelRules

    @property
    def digest(self) -> str:
        """Changes with any rule."""
        return sha256(self.model_dump_json().encode()).hexdigest()

    @property
    def selection_digest(self) -> str:
        """Changes with the rules of selection only."""
        return sha256(self.selection.model_dump_json().encode()).hexdigest()

    def reason_against(self, series: Series) -> str | None:
        """Why a series is set aside; None where it fits."""
        rules = self.selection.require
        return next((r.reason for r in rules if r.speaks_against(series.facts)), None)

    def rank(self, series: Series) -> tuple[Any, ...]:
        """Sort key among the series of one study that fit; ties fall by UID."""
        keys = (preference.key(series.facts) for preference in self.selection.prefer)
        return (*keys, series.uid)


def read_rules(path: Path | None = None) -> CurationRules:
    """The rules of a YAML file; without one, those shipped. Raises RulesInvalid."""
    name = f"{SHIPPED_RULES}.yaml" if path is None else str(path)
    try:
        return CurationRules.model_validate(yaml.safe_load(_text(path)))
    except (yaml.YAMLError, ValidationError, UnicodeDecodeError) as error:
        raise RulesInvalid(f"{name}: {error}") from error
    except OSError as error:
        raise RulesInvalid(f"{name} can't be read: {error.strerror}.") from error


def shipped_rules_text() -> str:
    """The shipped rules as they stand in their file, to be copied and changed."""
    return _text(None)


def _text(path: Path | None) -> str:
    if path is not None:
        return path.read_text(encoding="utf-8")
    shipped = files("willis_training.curation.archive") / "shipped" / f"{SHIPPED_RULES}.yaml"
    return shipped.read_text(encoding="utf-8")
