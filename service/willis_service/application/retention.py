"""Let go of what was delivered, by age and by space; never of anything that is owed (R45)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import structlog

from willis_service.application.ports import Clock
from willis_service.application.ports.retaining import Holdings
from willis_service.domain.retention import Holding, Part, Policy, Verdict

_LOG = structlog.get_logger(__name__)
_GIBIBYTE = 1024**3


@dataclass(frozen=True)
class Retain:
    """One round: the oldest go first, and space is counted as it comes free."""

    holdings: Holdings
    policy: Policy
    free_bytes: Callable[[], int]
    clock: Clock

    def __call__(self) -> int:
        """Remove what may go; how many parts did."""
        if not self.policy.is_on:
            return 0
        self.holdings.sweep(self.clock())
        count = 0
        for verdict in self.verdicts():
            if verdict.goes and self._remove(verdict):
                count += 1
        return count

    def verdicts(self, *, to_the_end: bool = False) -> Iterator[Verdict]:
        """What a round does, part by part; nothing is removed by asking.

        It ends where nothing more can be due, unless what stays is asked for ``to_the_end``.
        """
        free, newest = self.free_bytes(), self.policy.newest(self.clock())
        for holding in self.holdings.oldest_first():
            is_too_new = newest is None or holding.arrived_at > newest
            if is_too_new and free >= self.policy.free_bytes and not to_the_end:
                return
            for part in Part:
                if not holding.holds(part):
                    continue
                verdict = self._verdict(holding, part, free)
                if verdict.goes and part is Part.INSTANCES:
                    free += holding.instance_bytes
                yield verdict

    def _verdict(self, holding: Holding, part: Part, free: int) -> Verdict:
        if holding.blockers:
            return Verdict(holding, part, False, "; ".join(holding.blockers))
        if self.policy.is_over_age(holding, part, self.clock()):
            return Verdict(holding, part, True, "kept for its time")
        if part is Part.INSTANCES and free < self.policy.free_bytes:
            return Verdict(holding, part, True, f"only {free / _GIBIBYTE:.1f} GiB are free")
        return Verdict(holding, part, False, "not due")

    def _remove(self, verdict: Verdict) -> bool:
        holding, part = verdict.holding, verdict.part
        removed = self.holdings.remove(holding, part, self.clock())
        if removed:
            size = holding.instance_bytes if part is Part.INSTANCES else None
            _LOG.info("retention_removed", part=part, jobs=len(holding.job_ids), size_bytes=size)
        return removed
