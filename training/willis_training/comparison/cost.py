"""What a network costs to run: parameters, size, latency and peak memory of its exported file.

Each figure is taken in a process that does nothing else, so that none sees another's memory.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np

P = ParamSpec("P")
R = TypeVar("R")

CPU, GPU = "CPUExecutionProvider", "CUDAExecutionProvider"
WARM_UP = 2


@dataclass(frozen=True)
class Latency:
    """Seconds of one forward pass on one patch (median), and the process's peak memory.

    ``load`` is the machine's load average at that time: above its cores, seconds say little.
    """

    provider: str
    seconds: float
    peak_mb: float
    load: float


def in_child(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a module's function in a fresh process; its errors are raised here."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, *args, **kwargs).result()


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far.

    Linux' VmHWM where it is there: ``ru_maxrss`` also remembers the process that started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    import resource

    # macOS counts bytes, other systems kilobytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def measure_latency(
    model: Path, shape: tuple[int, ...], provider: str, threads: int, repeats: int
) -> Latency:
    """Time an ONNX file on inputs of ``shape`` (b, c, z, y, x); call it through ``in_child``."""
    from willis_models.runtime.session import open_session

    session = open_session(model, provider, threads)
    image = np.random.default_rng(0).random(shape, dtype=np.float32)
    seconds = []
    for _ in range(WARM_UP + repeats):
        start = time.perf_counter()
        session.run(None, {"image": image})
        seconds.append(time.perf_counter() - start)
    median = float(np.median(seconds[WARM_UP:]))
    return Latency(provider, median, peak_memory_mb(), os.getloadavg()[0])


def latencies(
    model: Path, shape: tuple[int, ...], threads: int, repeats: int
) -> tuple[Latency, ...]:
    """On CPU and, where ONNX Runtime has it, on the GPU."""
    from willis_models.runtime.session import runtime_description

    available = runtime_description()[1]
    return tuple(
        in_child(measure_latency, model, shape, provider, threads, repeats)
        for provider in (CPU, GPU)
        if provider in available
    )
