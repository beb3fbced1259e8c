"""The intake journal: instances made durable by one write and one sync, before anything else is.

A received instance ends up in a file, in a folder entry and in a row; to sync these one by one
costs three times what it costs to receive it. So its bytes and its row are first appended to a
segment that was written full beforehand: no size and no block changes, so that a sync has nothing
to do but to wait for the disk. File and row follow at once, unsynced. When a segment is full they
are synced all together ("settled"), and the segment is used again.

After a crash the segments are read again: see ``read_records``.
"""

from __future__ import annotations

import json
import mmap
import os
import secrets
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from willis_service.adapters.storage.direct import BLOCK_BYTES, open_direct, write_at
from willis_service.domain.instance import StoredInstance, content_digest

_MAGIC = b"WILLIS01"
# Magic, generation, checksum of row and file-meta header, and the bytes of row, file and header.
_HEADER = struct.Struct("<8sQIIQI")
_LARGEST_GROUP = 256


@dataclass(frozen=True)
class Entry:
    """An instance to be journaled. ``memory`` is its file, padded to whole blocks."""

    instance: StoredInstance
    opens_study: bool
    memory: memoryview
    header_bytes: int

    @property
    def journal_bytes(self) -> int:
        """What it takes in a segment."""
        return BLOCK_BYTES + len(self.memory)


@dataclass(frozen=True)
class Record:
    """An instance as a segment has it: the whole file, and the row that belongs to it."""

    instance: StoredInstance
    opens_study: bool
    content: bytes


@dataclass
class Segment:
    """A file of fixed size that is written from its beginning, again and again."""

    path: Path
    size: int
    instances: list[StoredInstance] = field(default_factory=list)
    """What it holds that is not settled."""
    _descriptor: int = -1
    _generation: int = 0
    _end: int = 0
    _heads: memoryview | None = None

    def allocate(self) -> None:
        """Make the file, written in full: a later write then changes nothing but bytes."""
        self._descriptor = open_direct(self.path)
        with mmap.mmap(-1, 1024 * 1024) as zeros:
            for offset in range(0, self.size, len(zeros)):
                with memoryview(zeros) as view:
                    write_at(self._descriptor, [view[: self.size - offset]], offset)
        os.fsync(self._descriptor)
        self.restart()

    def restart(self) -> None:
        """Begin at the beginning; what lies there from before is never read again."""
        with mmap.mmap(-1, BLOCK_BYTES) as zeros, memoryview(zeros) as view:
            write_at(self._descriptor, [view], 0)
            os.fdatasync(self._descriptor)
        self.instances, self._end = [], 0
        self._generation = secrets.randbits(64)

    def has_room(self, entries: Sequence[Entry]) -> bool:
        """Whether all of them fit."""
        size = sum(entry.journal_bytes for entry in entries)
        return len(entries) <= _LARGEST_GROUP and self._end + size <= self.size

    def append(self, entries: Sequence[Entry]) -> None:
        """Make them durable."""
        if self._heads is None:
            self._heads = memoryview(mmap.mmap(-1, _LARGEST_GROUP * BLOCK_BYTES))
        parts: list[memoryview] = []
        for number, entry in enumerate(entries):
            head = self._heads[number * BLOCK_BYTES : (number + 1) * BLOCK_BYTES]
            _write_head(head, entry, self._generation)
            parts += (head, entry.memory)
        write_at(self._descriptor, parts, self._end)
        os.fdatasync(self._descriptor)
        self._end += sum(map(len, parts))
        self.instances += [entry.instance for entry in entries]

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):
            os.close(self._descriptor)


def read_records(path: Path) -> Iterator[Record]:
    """The records of a segment, oldest first; ends at the first that is not whole.

    Records of the segment's earlier rounds behind them have another generation. A record that was
    being written when the power failed was not acknowledged.
    """
    with path.open("rb") as stream:
        generation: int | None = None
        while head := _Head.of(stream.read(BLOCK_BYTES)):
            content = stream.read(head.file_bytes)
            stream.seek(-head.file_bytes % BLOCK_BYTES, os.SEEK_CUR)
            if generation not in (None, head.generation) or not head.fits(content):
                return
            generation = head.generation
            row = json.loads(head.row)
            instance = _instance(row["instance"])
            digest = content_digest(instance.transfer_syntax_uid)
            digest.update(memoryview(content)[head.header_bytes :])
            if digest.hexdigest() != instance.sha256:
                return
            yield Record(instance, bool(row["opens_study"]), content)


@dataclass(frozen=True)
class _Head:
    """The first block of a record."""

    generation: int
    checksum: int
    row: bytes
    file_bytes: int
    header_bytes: int

    @classmethod
    def of(cls, block: bytes) -> _Head | None:
        if len(block) < BLOCK_BYTES or not block.startswith(_MAGIC):
            return None
        _, generation, checksum, row_bytes, file_bytes, header_bytes = _HEADER.unpack_from(block)
        row = block[_HEADER.size : _HEADER.size + row_bytes]
        return cls(generation, checksum, row, file_bytes, header_bytes)

    def fits(self, content: bytes) -> bool:
        """Whether row and file-meta header are as written; the digest tells of the data set."""
        return zlib.crc32(content[: self.header_bytes], zlib.crc32(self.row)) == self.checksum


def _write_head(block: memoryview, entry: Entry, generation: int) -> None:
    row = {**vars(entry.instance), "received_at": entry.instance.received_at.isoformat()}
    text = json.dumps({"instance": row, "opens_study": entry.opens_study}).encode()
    checksum = zlib.crc32(entry.memory[: entry.header_bytes], zlib.crc32(text))
    sizes = (len(text), entry.instance.size_bytes, entry.header_bytes)
    _HEADER.pack_into(block, 0, _MAGIC, generation, checksum, *sizes)
    block[_HEADER.size : _HEADER.size + len(text)] = text


def _instance(row: object) -> StoredInstance:
    if not isinstance(row, dict):
        raise TypeError("A journal record holds no row.")
    return StoredInstance(**row | {"received_at": datetime.fromisoformat(row["received_at"])})
