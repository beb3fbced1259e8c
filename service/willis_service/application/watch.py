"""How long something has stayed as it is, by a stopwatch that nobody sets."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass, field


@dataclass
class Watch:
    """Measures by the process's own monotonic clock: the time of day may jump, and differs between
    machines, and neither may end a healthy run or hide a dead one.
    """

    stopwatch: Callable[[], float] = time.monotonic
    _seen: dict[Hashable, tuple[object, float]] = field(default_factory=dict)

    def unchanged_s(self, thing: Hashable, state: object, before_s: float = 0.0) -> float:
        """Seconds since the thing was first seen in this state.

        ``before_s`` says how long it had been so already when it was seen for the first time.
        """
        now_s = self.stopwatch()
        if thing not in self._seen:
            self._seen[thing] = (state, now_s - max(0.0, before_s))
        elif self._seen[thing][0] != state:
            self._seen[thing] = (state, now_s)
        return now_s - self._seen[thing][1]

    def keep(self, things: Collection[Hashable]) -> None:
        """Forget all others."""
        self._seen = {thing: seen for thing, seen in self._seen.items() if thing in things}
