"""Looks at the running service every few seconds: memory of each process, waiting work."""

from __future__ import annotations

import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from tests.chaos import evidence
from tests.chaos.rig import Rig

EVERY_S = 2.0
_MEGABYTE = 1e6


@dataclass(frozen=True)
class Look:
    """One look: seconds from the start, resident megabytes by process, jobs that wait."""

    at_s: float
    memory_mb: Mapping[str, float]
    waiting: int


@dataclass
class Watch:
    """Looks until it is stopped."""

    rig: Rig
    looks: list[Look] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Watch:
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def memory(self) -> Mapping[str, Sequence[float]]:
        """Megabytes over time by process."""
        over_time: dict[str, list[float]] = defaultdict(list)
        for look in self.looks:
            for name, used_mb in look.memory_mb.items():
                over_time[name].append(used_mb)
        return over_time

    def _look(self) -> None:
        start = time.monotonic()
        while not self._stop.wait(EVERY_S):
            waiting = sum(not job.is_final for job in evidence.jobs(self.rig))
            self.looks.append(Look(time.monotonic() - start, self._memory_mb(), waiting))

    def _memory_mb(self) -> Mapping[str, float]:
        used: dict[str, float] = defaultdict(float)
        for one in self.rig.family():
            with suppress(psutil.NoSuchProcess):
                used[_label(one)] += one.memory_info().rss / _MEGABYTE
        return used


def _label(process: psutil.Process) -> str:
    name = process.name().removeprefix("willis-")
    return "supervisor" if name.startswith("python") else name


def ends(values: Sequence[float]) -> tuple[float, float]:
    """Medians of the first and the last fifth: whether something grew."""
    fifth = max(1, len(values) // 5)
    return statistics.median(values[:fifth]), statistics.median(values[-fifth:])
