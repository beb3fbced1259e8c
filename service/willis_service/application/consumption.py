"""Proof that messages reach a worker: a connection that stands is none (R17)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from willis_models.errors import BrokerUnavailable

_UNHEARD = 3


@dataclass
class Consumption:
    """While it is idle, the worker sends itself a message now and then, and waits to hear it.

    Three messages in a row that were sent and not heard mean that it consumes nothing. A broker
    that is away takes no message, and proves nothing against the worker.
    """

    send: Callable[[], None]
    every_s: float
    stopwatch: Callable[[], float] = time.monotonic
    _sent_s: float | None = None
    _unheard: int = 0

    def hear(self) -> None:
        """A message arrived."""
        self._unheard = 0

    def has_stopped(self, is_busy: bool) -> bool:
        """Look now: whether the worker consumes nothing any more."""
        now_s = self.stopwatch()
        if is_busy:
            # The loop that would hear it is at the job.
            self._sent_s, self._unheard = now_s, 0
            return False
        if self._sent_s is not None and now_s - self._sent_s < self.every_s:
            return False
        if self._unheard >= _UNHEARD:
            return True
        self._send(now_s)
        return False

    def _send(self, now_s: float) -> None:
        self._sent_s = now_s
        self._unheard += 1
        try:
            self.send()
        except BrokerUnavailable:
            self._unheard = 0
