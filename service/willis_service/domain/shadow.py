"""A candidate beside the live model: what differed on each study, and what that comes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import fmean, median

from willis_service.domain.job import BundleId


@dataclass(frozen=True)
class ShadowRun:
    """One study seen by both. It says how far they are apart, and holds no result of either.

    ``score_changes`` are candidate minus live by side, None where only one gave a score; ``dice``
    is of the two masks by segment. A candidate that failed has an ``error_code`` and no figures.
    """

    job_id: str
    pipeline: str
    live: BundleId
    candidate: BundleId
    at: datetime
    live_status: str
    live_s: float
    candidate_status: str | None = None
    candidate_s: float | None = None
    error_code: str | None = None
    score_changes: Mapping[str, int | None] = field(default_factory=dict)
    changed_states: int | None = None
    dice: Mapping[str, float] = field(default_factory=dict)

    @property
    def agrees_on_status(self) -> bool:
        """Whether both scored the study, or both rejected it."""
        return self.candidate_status == self.live_status

    @property
    def mean_dice(self) -> float | None:
        """Mean over the segments; None where one of both gave no mask."""
        return fmean(self.dice.values()) if self.dice else None

    @property
    def largest_score_change(self) -> int | None:
        """The largest change of a side's score either way; None where none can be compared."""
        changes = [abs(one) for one in self.score_changes.values() if one is not None]
        return max(changes, default=None)


@dataclass(frozen=True)
class ShadowSummary:
    """All runs of one candidate against one live version. None where nothing can be said."""

    live: BundleId
    candidate: BundleId
    studies: int
    failed: int
    other_status: int
    scores: int
    equal_scores: int
    mean_score_change: float | None
    largest_score_change: int | None
    mean_changed_states: float | None
    mean_dice: float | None
    lowest_dice: float | None
    live_s: float | None
    candidate_s: float | None


def summaries_of(runs: Sequence[ShadowRun]) -> Sequence[ShadowSummary]:
    """One summary for each pair of versions, the pair that ran last first."""
    latest = sorted(runs, key=lambda run: run.at, reverse=True)
    pairs = dict.fromkeys((run.live, run.candidate) for run in latest)
    return [_summary(*pair, [r for r in runs if (r.live, r.candidate) == pair]) for pair in pairs]


def _summary(live: BundleId, candidate: BundleId, runs: Sequence[ShadowRun]) -> ShadowSummary:
    done = [run for run in runs if run.error_code is None]
    changes = [c for run in done for c in run.score_changes.values() if c is not None]
    states = [run.changed_states for run in done if run.changed_states is not None]
    dice = [run.mean_dice for run in done if run.mean_dice is not None]
    candidate_s = [run.candidate_s for run in done if run.candidate_s is not None]
    return ShadowSummary(
        live=live,
        candidate=candidate,
        studies=len(runs),
        failed=len(runs) - len(done),
        other_status=sum(not run.agrees_on_status for run in done),
        scores=len(changes),
        equal_scores=changes.count(0),
        mean_score_change=fmean(changes) if changes else None,
        largest_score_change=max(changes, key=abs, default=None),
        mean_changed_states=fmean(states) if states else None,
        mean_dice=fmean(dice) if dice else None,
        lowest_dice=min(dice, default=None),
        live_s=median(run.live_s for run in done) if done else None,
        candidate_s=median(candidate_s) if candidate_s else None,
    )
