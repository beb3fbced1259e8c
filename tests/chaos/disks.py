"""Disks for a data folder: a small one, a full one, and one whose power is cut."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.waiting import until

# ioctl of ext4 and XFS (linux/fs.h: EXT4_IOC_SHUTDOWN): stop at once, flush neither log nor data.
_SHUTDOWN, _NO_LOG_FLUSH = 0x8004587D, 2
_UNMOUNT_S = 60.0


class NotPossible(Exception):
    """This machine can't stage the scenario; the message says what is missing."""


@dataclass(frozen=True)
class PowerDisk:
    """An ext4 file system in an image file. After a cut it holds what was synced, and no more."""

    image: Path
    place: Path

    def make(self, megabytes: int) -> None:
        """Format the image and mount it. Raises NotPossible."""
        with self.image.open("wb") as stream:
            stream.truncate(megabytes << 20)
        _run("mkfs.ext4", "-q", "-F", str(self.image))
        self.place.mkdir(parents=True)
        self.mount()

    def mount(self) -> None:
        """Mount it; after a cut this replays the file system's own log. Raises NotPossible."""
        _run("mount", "-o", "loop", str(self.image), str(self.place))

    def cut_power(self) -> None:
        """From this moment nothing reaches the disk any more."""
        descriptor = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(descriptor)

    def unmount(self) -> None:
        """Unmount it once nobody uses it."""

        def is_free() -> bool:
            command = ["umount", str(self.place)]
            return subprocess.run(command, capture_output=True, check=False).returncode == 0

        if self.place.is_mount():
            until(is_free, _UNMOUNT_S, lambda: f"{self.place} is free")


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise NotPossible(f"there is no {command[0]} here") from error
    if done.returncode:
        raise NotPossible(f"{command[0]} is not allowed here: {done.stderr.strip()}")


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[None]:
    """A file system of its own and of this size. Raises NotPossible."""
    folder.mkdir(parents=True, exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder))
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def full_disk(folder: Path) -> Iterator[None]:
    """Not one byte is left in this file system."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as stream, suppress(OSError):
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while stream.write(bytes(size)):
                    pass
    stop = threading.Event()

    def keep_full() -> None:
        # What the service frees meanwhile is taken at once.
        with filler.open("ab", buffering=0) as stream:
            while not stop.wait(0.02):
                with suppress(OSError):
                    stream.write(bytes(1 << 12))

    thread = threading.Thread(target=keep_full, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        filler.unlink()
