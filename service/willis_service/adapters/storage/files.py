"""What makes files durable: their bytes and every folder entry on the way to them synced."""

from __future__ import annotations

import ctypes
import errno
import os
import threading
import uuid
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from willis_models.errors import StorageFull

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_REMEMBERED_FOLDERS = 4096


@dataclass
class DurableFolders:
    """Makes folders whose entries are synced, and remembers which ones are."""

    _synced: OrderedDict[Path, None] = field(default_factory=OrderedDict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def make(self, folder: Path, root: Path) -> None:
        """Make a folder below ``root``.

        That it is there does not say that its entry is on the disk: another process may have made
        it a moment ago. So each process syncs the way to it once.
        """
        with self._guard:
            self._make(folder, root)

    def _make(self, folder: Path, root: Path) -> None:
        if folder in self._synced and folder.is_dir():
            self._synced.move_to_end(folder)
            return
        if folder != root:
            self._make(folder.parent, root)
        folder.mkdir(parents=folder == root, exist_ok=True)
        sync(folder.parent)
        self._synced[folder] = None
        if len(self._synced) > _REMEMBERED_FOLDERS:
            self._synced.popitem(last=False)


def make_durable_folder(folder: Path) -> None:
    """Make a folder and its parents, each entry synced to disk."""
    if folder.is_dir():
        return
    make_durable_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync(folder.parent)


def write_all(descriptor: int, content: bytes) -> None:
    """Write the bytes, in as many steps as it takes."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def sync(path: Path) -> None:
    """Make a file's bytes or a folder's entries durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def keep_file(path: Path, content: bytes) -> None:
    """Put a whole file in its place, durably. Raises StorageFull."""
    with disk_errors():
        make_durable_folder(path.parent)
        partial = path.with_name(f".{uuid.uuid4().hex}.part")
        try:
            with partial.open("xb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            partial.rename(path)
        finally:
            partial.unlink(missing_ok=True)
        sync(path.parent)


def sync_file_system(descriptor: int) -> None:
    """Make everything durable on the file system that holds this open folder.

    Raises OSError where a write failed since the folder was opened.
    """
    # Python has no syncfs(2).
    if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@contextmanager
def disk_errors() -> Iterator[None]:
    """Raise StorageFull where the system says that no space is left."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise StorageFull("The disk is full: free space, then send again.") from error
        raise
