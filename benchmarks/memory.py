"""Fresh processes, and a meter for the time and the peak memory of each step in them (Linux)."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Step:
    """One step: wall seconds, and the largest resident memory of the process during it."""

    name: str
    seconds: float
    peak_mb: float


@dataclass
class Meter:
    """Measures steps that follow each other. ``begin`` ends the step before."""

    steps: list[Step] = field(default_factory=list)
    _name: str | None = None
    _start: float = 0.0

    def begin(self, name: str) -> None:
        """Start a step."""
        self.end()
        # Resets VmHWM to what is resident now (man 5 proc), so that each step has its own peak.
        Path("/proc/self/clear_refs").write_text("5")
        self._name, self._start = name, time.perf_counter()

    def end(self) -> None:
        """End the step under way."""
        if self._name is not None:
            elapsed = time.perf_counter() - self._start
            self.steps.append(Step(self._name, elapsed, peak_mb()))
        self._name = None


def peak_mb(process: str = "self") -> float:
    """Largest resident memory of a process. Unlike ``ru_maxrss`` it knows nothing of the parent."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ProcessLookupError(f"The process {process} has no memory of its own.")


def in_fresh_process(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a function of a module in a process that did nothing else; errors arrive here."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(function, *args, **kwargs).result()
