"""Which version of a model runs: what was decided, by whom and why, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from willis_models.errors import ModelConflict
from willis_service.domain.job import BundleId


class ModelAction(StrEnum):
    """What somebody decided about a model."""

    PROMOTE = "promote"
    ROLL_BACK = "roll back"
    SHADOW = "shadow"
    END_SHADOW = "end shadow"


class ModelRole(StrEnum):
    """What a version is for now."""

    LIVE = "live"
    SHADOW = "shadow"
    NONE = "none"


@dataclass(frozen=True)
class ModelDecision:
    """One entry of the record; entries are only ever added.

    ``bundle`` is what became live or the shadow; None where a shadow ended. ``before`` is what was
    live before a promotion.
    """

    pipeline: str
    action: ModelAction
    bundle: BundleId | None
    who: str
    why: str
    at: datetime
    before: BundleId | None = None


@dataclass(frozen=True)
class Choice:
    """What follows from all decisions about one pipeline.

    ``line`` holds what was live one after the other, without what was rolled back; empty where
    nobody ever chose. The last one is live.
    """

    line: tuple[BundleId, ...] = ()
    shadow: BundleId | None = None

    @property
    def live(self) -> BundleId | None:
        """The chosen version; None where the highest one is live by itself."""
        return self.line[-1] if self.line else None

    @property
    def earlier(self) -> BundleId:
        """What a rollback goes back to. Raises ModelConflict where there is nothing."""
        if len(self.line) < 2:
            raise ModelConflict("There is no earlier choice to go back to: promote a version.")
        return self.line[-2]


def choice_of(decisions: Sequence[ModelDecision]) -> Choice:
    """The decisions about one pipeline, oldest first, put together."""
    choice = Choice()
    for one in decisions:
        choice = _after(choice, one)
    return choice


def _after(choice: Choice, decision: ModelDecision) -> Choice:
    bundle = decision.bundle
    if decision.action is ModelAction.ROLL_BACK:
        return Choice(choice.line[:-1], choice.shadow)
    if decision.action is ModelAction.PROMOTE and bundle is not None:
        first = () if choice.line or decision.before is None else (decision.before,)
        # What is live needs no shadow of itself.
        shadow = None if choice.shadow == bundle else choice.shadow
        return Choice((*choice.line, *first, bundle), shadow)
    return Choice(choice.line, bundle)
