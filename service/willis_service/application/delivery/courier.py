"""The courier: plans, sends to every destination in a thread of its own, keeps its leases."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from datetime import timedelta

import structlog

from willis_service.application.ports import Clock, LifeSigns
from willis_service.application.ports.delivering import Outbox

_LOG = structlog.get_logger(__name__)

Round = Callable[[], bool]
"""Does one piece of work; False where there was none."""


@dataclass(frozen=True)
class Courier:
    """Runs until it is told to stop. A slow destination holds back nobody but itself."""

    id: str
    plan: Callable[[], int]
    lanes: Sequence[tuple[str, Sequence[Round]]]
    """For each destination what to do, the more important first."""
    outbox: Outbox
    presence: LifeSigns
    lease: timedelta
    clock: Clock
    poll_s: float
    drain_s: float
    broken_pause_s: float = 5.0
    """Pause after a round that broke: a database that is away must not fill the log."""

    def run(self, stop: threading.Event) -> None:
        """Block until ``stop``; what is being sent then may end, within ``drain_s``."""
        self.presence.sign_in(self.id, self._destinations, self.clock())
        threads = [
            # In a copy of our context, so that what they log names the role as well.
            threading.Thread(
                target=copy_context().run, args=(self._work, rounds, stop), name=name, daemon=True
            )
            for name, rounds in self.lanes
        ]
        for thread in threads:
            thread.start()
        while not stop.is_set():
            done = [_attempt(self._keep_leases), _attempt(self.plan)]
            stop.wait(self.broken_pause_s if None in done else self.poll_s)
        self._leave(threads)

    @property
    def _destinations(self) -> Sequence[str]:
        return [name for name, _ in self.lanes]

    def _work(self, rounds: Sequence[Round], stop: threading.Event) -> None:
        while not stop.is_set():
            done = _first_with_work(rounds)
            if not done:
                stop.wait(self.broken_pause_s if done is None else self.poll_s)

    def _keep_leases(self) -> bool:
        self.outbox.keep(self.id, self.clock() + self.lease)
        self.presence.beat(self.id, self._destinations, self.clock())
        return True

    def _leave(self, threads: Sequence[threading.Thread]) -> None:
        for thread in threads:
            thread.join(self.drain_s)
        if not any(thread.is_alive() for thread in threads):
            _attempt(self._release)

    def _release(self) -> bool:
        self.outbox.release(self.id, self.clock())
        self.presence.sign_out(self.id)
        return True


def _first_with_work(rounds: Sequence[Round]) -> bool | None:
    """One round of the first that has work: whoever asks for commitment comes after the sender."""
    for one in rounds:
        if (done := _attempt(one)) is not False:
            return done
    return False


def _attempt(work: Callable[[], object]) -> bool | None:
    """One round: whether there was work, None where it broke.

    Whatever breaks, the next round is tried: a database can be away for a while.
    """
    try:
        return bool(work())
    except Exception as error:
        frames = "".join(traceback.format_tb(error.__traceback__))
        _LOG.error("courier_round_failed", error=type(error).__name__, frames=frames)
        return None
