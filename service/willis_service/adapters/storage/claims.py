"""Folders that belong to one living process each; what a dead one left goes to the next."""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Claim:
    """A folder, locked until the claim is dropped or the process ends."""

    folder: Path
    lock: int

    def drop(self) -> None:
        """Leave the folder to others."""
        os.close(self.lock)


def claim(root: Path) -> tuple[Claim, Sequence[Claim]]:
    """A fresh folder below ``root`` for this process, and those whose processes are gone."""
    root.mkdir(parents=True, exist_ok=True)
    with _turn(root):
        orphans = list(_orphans(root))
        folder = root / uuid.uuid4().hex
        folder.mkdir(mode=0o750)
        return Claim(folder, _lock(folder)), orphans


def _orphans(root: Path) -> Iterator[Claim]:
    for folder in sorted(root.iterdir()):
        with suppress(BlockingIOError, NotADirectoryError):
            yield Claim(folder, _lock(folder))


def _lock(folder: Path) -> int:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """Processes that start together take turns, so that no fresh folder looks orphaned."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
