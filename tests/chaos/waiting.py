"""Waiting for something that happens in another process."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(
    is_done: Callable[[], bool], limit_s: float, what: Callable[[], str], every_s: float = 0.1
) -> None:
    """Poll. Raises AssertionError, with ``what`` was waited for, after the limit."""
    end = time.monotonic() + limit_s
    while not is_done():
        if time.monotonic() > end:
            raise AssertionError(f"Not after {limit_s:.0f} s: {what()}")
        time.sleep(every_s)
