"""On what was measured: processor, memory, system, versions, and how busy it was."""

from __future__ import annotations

import os
import platform
from datetime import date
from importlib.metadata import version
from pathlib import Path

import psutil

_PACKAGES = ("onnxruntime", "SimpleITK", "numpy", "pydicom", "pynetdicom", "highdicom")


def describe(load: float) -> str:
    """One paragraph. ``load`` is the load average when the measurement began."""
    memory_gib = psutil.virtual_memory().total / 2**30
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    busy = (
        "" if is_quiet(load) else " **The machine was not idle: read the ratios, not the times.**"
    )
    return (
        f"*{date.today().isoformat()}; {_processor()}, {os.cpu_count()} cores, "
        f"{memory_gib:.0f} GiB; {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}; {versions}; "
        f"load average at the start {load:.1f}.*{busy}"
    )


def is_quiet(load: float) -> bool:
    """Whether the cores were free for the measurement."""
    return load < 0.5 * (os.cpu_count() or 1)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"
