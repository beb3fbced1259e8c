"""Durable files: received instances and images, and published results.

A file counts as kept when its bytes and every folder entry on the way to it are on disk.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from willis_models.errors import StorageFull
from willis_service.domain.instance import IncomingInstance
from willis_service.domain.job import ResultKind, Run

_CHUNK_BYTES = 1024 * 1024
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class DataFolder:
    """What was received, below ``root``. Raises StorageFull where a write finds no space."""

    root: Path

    def keep(self, instance: IncomingInstance, place: str) -> None:
        """Make the bytes durable at this place, relative to the data folder."""
        with _disk_errors(), _fresh_file(self.path_of(place)) as descriptor:
            _write_all(descriptor, instance.header)
            _write_all(descriptor, instance.data_set)

    def keep_file(self, source: Path) -> tuple[str, str]:
        """Make a copy durable; its path relative to the data folder, and its SHA-256."""
        with source.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            suffix = ".nii.gz" if source.name.lower().endswith(".gz") else ".nii"
            place = f"images/{sha256}{suffix}"
            stream.seek(0)
            with _disk_errors(), _fresh_file(self.path_of(place)) as descriptor:
                while chunk := stream.read(_CHUNK_BYTES):
                    _write_all(descriptor, chunk)
        return place, sha256

    def path_of(self, stored: str) -> Path:
        """The absolute path of something kept."""
        return self.root / stored

    def free_bytes(self) -> int:
        """Space left on the disk of the data folder."""
        self.root.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(self.root).free


@dataclass(frozen=True)
class ResultFolders:
    """One folder for each job below ``root``: there in full, or not at all."""

    root: Path

    @contextmanager
    def stage(self, run: Run) -> Iterator[Path]:
        """A private folder to write into; gone afterwards unless published."""
        folder = self.root / f".{run.job.id}-{run.attempt}-{uuid.uuid4().hex[:8]}"
        with _disk_errors():
            make_durable_folder(folder)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def publish(self, run: Run, folder: Path) -> None:
        """Put a staged folder in the job's place, all at once and durably."""
        with _disk_errors():
            for file in folder.iterdir():
                _sync(file)
            _sync(folder)
            target = self.root / run.job.id
            if target.exists():
                # Left by an attempt that died between publishing and telling the database.
                target.rename(self.root / f".{run.job.id}-{uuid.uuid4().hex[:8]}.old")
            folder.rename(target)
            _sync(self.root)
            for old in self.root.glob(f".{run.job.id}-*.old"):
                shutil.rmtree(old)

    def path(self, job_id: str, kind: ResultKind) -> Path:
        """Where a published result lies."""
        return self.root / job_id / kind.value


def make_durable_folder(folder: Path) -> None:
    """Make a folder and its parents, each entry synced to disk."""
    if folder.is_dir():
        return
    make_durable_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync(folder.parent)


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
    _sync(path.parent)


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise StorageFull("The disk is full: free space, then send again.") from error
        raise
