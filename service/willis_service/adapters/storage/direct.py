"""Writing past the page cache (O_DIRECT) where the file system allows it."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

BLOCK_BYTES = 4096
"""Offset, size and memory address of a direct write are multiples of this."""


def open_direct(path: Path) -> int:
    """A new file to write; through the page cache where it must be."""
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_DIRECT, 0o640)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        path.unlink(missing_ok=True)
        return os.open(path, flags, 0o640)


def use_page_cache(descriptor: int) -> bool:
    """Write through the page cache from now on; False where that was so already."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags & ~os.O_DIRECT)
    return bool(flags & os.O_DIRECT)


def write_at(descriptor: int, parts: Sequence[memoryview], offset: int) -> None:
    """Write the parts one after the other from ``offset`` on."""
    parts = [part for part in parts if part]
    while parts:
        try:
            count = os.pwritev(descriptor, parts, offset)
        except OSError as error:
            # A file system may take O_DIRECT when a file is opened and refuse it here.
            if error.errno != errno.EINVAL or not use_page_cache(descriptor):
                raise
            continue
        offset += count
        while parts and count >= len(parts[0]):
            count -= len(parts.pop(0))
        if count:
            parts[0] = parts[0][count:]
