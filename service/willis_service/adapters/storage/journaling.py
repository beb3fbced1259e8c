"""Keeps the intake journal of one process: which segment is written, which one is settled."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from willis_models.errors import StorageFull
from willis_service.adapters.storage.claims import Claim, claim
from willis_service.adapters.storage.files import disk_errors, sync, sync_file_system
from willis_service.adapters.storage.journal import Entry, Record, Segment, read_records

_LOG = structlog.get_logger(__name__)
_SEGMENTS = 2
# Retention and people look after files and rows; the journal holds copies of them for no longer.
_LONGEST_UNSETTLED_S = 10.0
_RETRY_S = 1.0

Restore = Callable[[Record], None]
Flush = Callable[[], None]


@dataclass
class Journal:
    """Two segments: while one is written the other is settled.

    ``root`` is the data folder, ``flush`` makes the rows committed so far durable.
    """

    root: Path
    folder: Path
    segment_bytes: int
    reserve_bytes: int
    """What has to stay free on the disk when the journal is made."""
    flush: Flush
    _root: int = -1
    """The data folder, open all the time: a write that fails meanwhile is then told of."""
    _claim: Claim | None = None
    _current: Segment | None = None
    _full: list[Segment] = field(default_factory=list)
    _free: list[Segment] = field(default_factory=list)
    _began: float = 0.0
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _work: threading.Event = field(default_factory=threading.Event)
    _stop: threading.Event = field(default_factory=threading.Event)
    _settler: threading.Thread | None = None

    def open(self, restore: Restore) -> int:
        """Bring back what dead processes left, then begin; how many instances were looked at.

        Without the space for it instances are synced one by one instead.
        """
        self._claim, orphans = claim(self.folder)
        self._root = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        count = sum(self._recover(orphan, restore) for orphan in orphans)
        try:
            self._allocate(self._claim.folder)
        except StorageFull:
            _LOG.error("journal_without_space", folder=str(self.folder))
            self._discard_segments()
        self._settler = threading.Thread(target=self._settle_on, name="journal", daemon=True)
        self._settler.start()
        return count

    def append(self, entries: Sequence[Entry]) -> bool:
        """Make instances durable; False where there is no room now."""
        with self._guard:
            segment = self._segment_for(entries)
            if segment is None:
                return False
            segment.append(entries)
            return True

    def close(self) -> None:
        """Settle all, and leave nothing."""
        self._stop.set()
        self._work.set()
        if self._settler is not None:
            self._settler.join()
        self._retire_current()
        self._settle_all()
        self._discard_segments()
        if self._claim is not None:
            shutil.rmtree(self._claim.folder, ignore_errors=True)
            self._claim.drop()
            self._claim = None
            os.close(self._root)

    def _allocate(self, folder: Path) -> None:
        disk = os.statvfs(folder)
        size = _SEGMENTS * self.segment_bytes
        if disk.f_bavail * disk.f_frsize - size < self.reserve_bytes:
            raise StorageFull("The disk has no space for the journal.")
        with disk_errors():
            for number in range(_SEGMENTS):
                segment = Segment(folder / f"{number}.journal", self.segment_bytes)
                self._free.append(segment)
                segment.allocate()
            sync(folder)
            sync(self.folder)

    def _segment_for(self, entries: Sequence[Entry]) -> Segment | None:
        if self._current is not None and not self._current.has_room(entries):
            self._full.append(self._current)
            self._current = None
            self._work.set()
        if self._current is None and self._free:
            if not self._free[0].has_room(entries):
                return None
            self._current, self._began = self._free.pop(0), time.monotonic()
        return self._current

    def _settle_on(self) -> None:
        pause_s = _LONGEST_UNSETTLED_S
        while not self._stop.is_set():
            self._work.wait(pause_s)
            self._work.clear()
            if time.monotonic() - self._began >= _LONGEST_UNSETTLED_S:
                self._retire_current()
            try:
                self._settle_all()
                pause_s = _LONGEST_UNSETTLED_S
            except Exception as error:
                # Nothing is lost: the segments stay as they are, and instances are synced one by
                # one while there is no free one.
                _LOG.error("journal_not_settled", error=type(error).__name__, exc_info=True)
                pause_s = _RETRY_S

    def _retire_current(self) -> None:
        with self._guard:
            if self._current is not None and self._current.instances:
                self._full.append(self._current)
                self._current = None

    def _settle_all(self) -> None:
        while self._full:
            segment = self._full[0]
            self._settle(segment)
            with self._guard:
                self._free.append(self._full.pop(0))

    def _settle(self, segment: Segment) -> None:
        """Files, folders and rows durable by themselves: the segment may be written again."""
        sync_file_system(self._root)
        self.flush()
        segment.restart()

    def _recover(self, orphan: Claim, restore: Restore) -> int:
        count = 0
        try:
            for record in _records(orphan.folder):
                restore(record)
                count += 1
            shutil.rmtree(orphan.folder, ignore_errors=True)
        finally:
            orphan.drop()
        if count:
            _LOG.warning("journal_recovered", instances=count)
        return count

    def _discard_segments(self) -> None:
        for segment in self._free:
            segment.close()
            segment.path.unlink(missing_ok=True)
        self._free = []


def _records(folder: Path) -> Iterator[Record]:
    for path in sorted(folder.glob("*.journal")):
        yield from read_records(path)
