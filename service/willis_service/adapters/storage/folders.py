"""Durable files: received instances and images.

A file counts as kept when its bytes and every folder entry on the way to it are on disk.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from willis_service.adapters.storage.files import (
    DurableFolders,
    disk_errors,
    make_durable_folder,
    sync,
    write_all,
)
from willis_service.adapters.storage.journal import Entry
from willis_service.adapters.storage.journaling import Journal
from willis_service.adapters.storage.landing import Berths, FileLanding, IncomingFolder
from willis_service.adapters.storage.lane import Lane
from willis_service.application.ports import Kept

_CHUNK_BYTES = 1024 * 1024
_INCOMING = "incoming"
_KEPT_AS = (".nii.gz", ".json")


@dataclass(frozen=True)
class DataFolder:
    """What was received, below ``root``. Raises StorageFull where a write finds no space."""

    root: Path
    journal: Journal | None = None
    """Makes small instances durable by one sync; without it each is synced in its place."""
    _incoming: IncomingFolder = field(init=False, repr=False, compare=False)
    _berths: Berths = field(default_factory=Berths, init=False, repr=False, compare=False)
    _lane: Lane = field(default_factory=Lane, init=False, repr=False, compare=False)
    _folders: DurableFolders = field(
        default_factory=DurableFolders, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "_incoming", IncomingFolder(self.root / _INCOMING))

    def land(self, header: bytes, transfer_syntax_uid: str) -> FileLanding:
        """Begin a file with its file-meta header."""
        with disk_errors():
            part = self._incoming.fresh_path()
        place = (self.root, self._folders, self._berths)
        return FileLanding(part, place, header, transfer_syntax_uid)

    @contextmanager
    def making_durable(self, group: Sequence[Kept]) -> Iterator[Callable[[], bool]]:
        """Make files durable, several at once, while the block runs; for one thread at a time."""
        is_journaled = False

        def make_durable() -> None:
            nonlocal is_journaled
            with disk_errors():
                is_journaled = self._journal(group)
                if not is_journaled:
                    for kept in group:
                        _landing(kept).sync()

        def wait() -> bool:
            self._lane.wait()
            return is_journaled

        if self._berths.is_calm:
            self._lane.submit(make_durable)
        else:
            make_durable()
        try:
            yield wait
        finally:
            with suppress(Exception):
                self._lane.wait()

    def close(self) -> None:
        """End the threads that wait for work."""
        self._lane.stop()
        self._berths.close()

    def _journal(self, group: Sequence[Kept]) -> bool:
        if self.journal is None:
            return False
        entries = [entry for entry in map(_entry, group) if entry is not None]
        return len(entries) == len(group) and self.journal.append(entries)

    def restore(self, content: bytes, place: str) -> None:
        """Have a file with these bytes at this place, durably."""
        path = self.path_of(place)
        if not path.is_file() or path.read_bytes() != content:
            with disk_errors(), _fresh_file(path) as descriptor:
                write_all(descriptor, content)
        sync(path)
        sync(path.parent)

    def forget(self, stored: str) -> None:
        """Remove something kept that nothing refers to."""
        self.path_of(stored).unlink(missing_ok=True)

    def keep_file(self, source: Path) -> tuple[str, str]:
        """Make a copy durable; its path relative to the data folder, and its SHA-256."""
        with source.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            suffix = next((one for one in _KEPT_AS if source.name.lower().endswith(one)), ".nii")
            place = f"images/{sha256}{suffix}"
            stream.seek(0)
            with disk_errors(), _fresh_file(self.path_of(place)) as descriptor:
                while chunk := stream.read(_CHUNK_BYTES):
                    write_all(descriptor, chunk)
        return place, sha256

    def path_of(self, stored: str) -> Path:
        """The absolute path of something kept."""
        return self.root / stored

    def free_bytes(self) -> int:
        """Space left on the disk of the data folder."""
        try:
            disk = os.statvfs(self.root)
        except FileNotFoundError:
            self.root.mkdir(parents=True, exist_ok=True)
            disk = os.statvfs(self.root)
        return disk.f_bavail * disk.f_frsize


@contextmanager
def _fresh_file(path: Path) -> Iterator[int]:
    """A descriptor to write ``path`` through: it appears there complete and synced, or never."""
    make_durable_folder(path.parent)
    partial = path.with_name(f".{uuid.uuid4().hex}.part")
    descriptor = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o640)
    try:
        try:
            yield descriptor
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        partial.rename(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync(path.parent)


def _landing(kept: Kept) -> FileLanding:
    if not isinstance(kept.landing, FileLanding):
        raise TypeError("The file landed in another archive.")
    return kept.landing


def _entry(kept: Kept) -> Entry | None:
    landing = _landing(kept)
    if (memory := landing.memory) is None:
        return None
    return Entry(kept.instance, kept.opens_study, memory, landing.header_bytes)
