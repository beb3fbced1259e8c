"""The machine that something was measured on, in words for a page."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def this_machine() -> str:
    """Processor, cores, system and Python: ``EPYC 9B14, 2 cores, Linux x86_64, ...``."""
    parts = (
        _processor(),
        f"{os.cpu_count()} cores",
        f"{platform.system()} {platform.machine()}",
        f"Python {platform.python_version()}",
    )
    return ", ".join(parts)


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"
