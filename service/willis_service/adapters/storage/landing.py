"""Files on their way in: written while they are received, durable and visible only when kept.

Blocks go to the disk past the page cache (O_DIRECT) where the file system allows it. They are then
on the device by the time the last byte arrives, so that the sync which follows has only names and
sizes to write, and a study on its way in does not push everything else out of memory.
"""

from __future__ import annotations

import mmap
import os
import shutil
import threading
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

from willis_service.adapters.storage.claims import Claim, claim
from willis_service.adapters.storage.direct import (
    BLOCK_BYTES,
    open_direct,
    use_page_cache,
    write_at,
)
from willis_service.adapters.storage.files import DurableFolders, disk_errors, sync
from willis_service.adapters.storage.lane import Lane
from willis_service.domain.instance import content_digest

_BUFFER_BYTES = 1024 * 1024
# Alone, little is left to write when the last byte comes; among others, few writes are better.
_WRITE_BYTES_CALM, _WRITE_BYTES_BUSY = 120 * 1024, 512 * 1024
_SPARE_BERTHS = 64


@dataclass(eq=False)
class Berth:
    """What one landing works with: page-aligned memory, and a lane to the disk."""

    memory: mmap.mmap = field(default_factory=lambda: mmap.mmap(-1, _BUFFER_BYTES))
    lane: Lane = field(default_factory=Lane)

    def close(self) -> None:
        """End the thread."""
        self.lane.stop()


@dataclass
class Berths:
    """Berths that are used again: fresh pages cost more than the bytes that are put into them."""

    _spare: list[Berth] = field(default_factory=list)
    _taken: int = 0
    _guard: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_calm(self) -> bool:
        """Whether at most one landing is under way.

        Alone, it gains when the disk works while it receives. Several overlap each other anyway,
        and every change of threads costs them.
        """
        return self._taken <= 1

    def take(self) -> Berth:
        """A berth; give it back."""
        with self._guard:
            self._taken += 1
            if self._spare:
                return self._spare.pop()
        return Berth()

    def give_back(self, berth: Berth) -> None:
        """Keep it for the next landing."""
        with self._guard:
            self._taken -= 1
            if len(self._spare) < _SPARE_BERTHS:
                self._spare.append(berth)
                return
        berth.close()

    def close(self) -> None:
        """Close those that nobody uses."""
        while self._spare:
            self._spare.pop().close()


@dataclass
class IncomingFolder:
    """Where this process keeps unfinished files; what a dead one left is removed."""

    root: Path
    _claim: Claim | None = None
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def fresh_path(self) -> Path:
        """A name that nothing has."""
        with self._guard:
            if self._claim is None:
                self._claim, orphans = claim(self.root)
                for orphan in orphans:
                    shutil.rmtree(orphan.folder, ignore_errors=True)
                    orphan.drop()
            return self._claim.folder / f"{uuid.uuid4().hex}.part"


Place = tuple[Path, DurableFolders, Berths]
"""The data folder, and what all its landings share."""


class FileLanding:
    """A ``Landing``: one unfinished file at ``part``."""

    def __init__(self, part: Path, place: Place, header: bytes, transfer_syntax_uid: str) -> None:
        self._part = part
        self._root, self._folders, self._berths = place
        self._digest = content_digest(transfer_syntax_uid)
        self._header_bytes = len(header)
        # The file as it is in memory: [_written, _end) of the buffer is not yet on the disk.
        self._base, self._written, self._end = 0, 0, len(header)
        self._first_block: memoryview | None = None
        self._place: Path | None = None
        with disk_errors():
            self._file: int | None = open_direct(part)
        self._berth = self._berths.take()
        self._view = memoryview(self._berth.memory)
        self._view[: len(header)] = header

    @property
    def size_bytes(self) -> int:
        """What came so far, header included."""
        return self._base + self._end

    def room(self) -> memoryview:
        """Where the next bytes of the data set are to be put; never empty."""
        return self._view[self._end :]

    def filled(self, count: int) -> None:
        """So many bytes were put there."""
        self._digest.update(self._view[self._end : self._end + count])
        self._end += count
        limit = _WRITE_BYTES_CALM if self._berths.is_calm else _WRITE_BYTES_BUSY
        if self._end - self._written >= limit:
            self._write_blocks()
        if self._end == len(self._view):
            self._start_over()

    def write(self, content: bytes) -> None:
        """Add bytes of the data set."""
        rest = memoryview(content)
        while rest:
            room = self.room()[: len(rest)]
            room[:] = rest[: len(room)]
            rest = rest[len(room) :]
            self.filled(len(room))

    def head(self) -> memoryview:
        """The beginning of the data set: all of it where it is small."""
        if self._first_block is not None:
            return self._first_block
        return self._view[self._header_bytes : self._end]

    def finish(self) -> str:
        """No more comes: the data set's digest. The bytes are written, not yet durable."""
        with disk_errors():
            self._berth.lane.wait()
            self._write(self._whole_blocks())
            if self._end > self._written:  # less than a block, which O_DIRECT can't write
                use_page_cache(self._descriptor)
                self._write(self._end)
            if self._first_block is not None:
                # Without O_DIRECT this can take a while; nobody else waits for it here.
                os.fdatasync(self._descriptor)
        return self._digest.hexdigest()

    def reader(self) -> BinaryIO:
        """The whole data set, after ``finish``."""
        stream = self._part.open("rb")
        stream.seek(self._header_bytes)
        return stream

    def put(self, place: str) -> None:
        """Give the file its name, relative to the data folder. It is not yet durable there."""
        target = self._root / place
        with disk_errors():
            self._move(target)
        self._place = target

    def sync(self) -> None:
        """Make the file durable where it was put."""
        if self._place is None:
            raise ValueError("The file was not put in its place.")
        with disk_errors():
            os.fdatasync(self._descriptor)
            sync(self._place.parent)

    @property
    def header_bytes(self) -> int:
        """Where the data set begins in the file."""
        return self._header_bytes

    @property
    def memory(self) -> memoryview | None:
        """The whole file, padded to whole blocks; None where it is larger than the memory."""
        if self._first_block is not None:
            return None
        return self._view[: self._end + -self._end % BLOCK_BYTES]

    def close(self) -> None:
        """End it. What was not put is gone."""
        if self._file is None:
            return
        self._close()
        if self._place is None:
            self._part.unlink(missing_ok=True)

    def _move(self, target: Path) -> None:
        self._folders.make(target.parent, self._root)
        try:
            self._part.rename(target)
        except FileNotFoundError:
            # Retention may just have removed the study's empty folder.
            self._folders.make(target.parent, self._root)
            self._part.rename(target)

    @property
    def _descriptor(self) -> int:
        if self._file is None:
            raise ValueError("The file was kept or discarded before.")
        return self._file

    def _whole_blocks(self) -> int:
        return self._end - self._end % BLOCK_BYTES

    def _write(self, end: int) -> None:
        write_at(self._descriptor, [self._view[self._written : end]], self._base + self._written)
        self._written = end

    def _write_blocks(self) -> None:
        """Write the whole blocks so far; while more is received, where that pays."""
        end = self._whole_blocks()
        if not self._berths.is_calm:
            with disk_errors():
                self._write(end)
            return
        part, offset = self._view[self._written : end], self._base + self._written
        self._berth.lane.submit(partial(write_at, self._descriptor, [part], offset))
        self._written = end

    def _start_over(self) -> None:
        """The memory is full: use it again from its beginning, once it is written."""
        with disk_errors():
            self._berth.lane.wait()
            self._write(self._end)
        if self._first_block is None:
            self._first_block = memoryview(bytes(self._view[self._header_bytes :]))
        self._base += len(self._view)
        self._written = self._end = 0

    def _close(self) -> None:
        with suppress(OSError):
            self._berth.lane.wait()
        os.close(self._descriptor)
        self._file = None
        self._view.release()
        self._berths.give_back(self._berth)
