"""The private index of an archive: every file's header and every series' fate, in one SQLite file.

It holds what names patients, so it lies in the private folder and never in the data set. Each row
is written once its work is done; a run that was broken off goes on from what is there.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from willis_training.curation.archive.headers import Header

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, size INTEGER NOT NULL, modified_ns INTEGER NOT NULL,
    series TEXT, header TEXT, problem TEXT
);
CREATE INDEX IF NOT EXISTS files_by_series ON files (series);
CREATE TABLE IF NOT EXISTS done (
    stage TEXT NOT NULL, key TEXT NOT NULL, digest TEXT NOT NULL, outcome TEXT NOT NULL,
    PRIMARY KEY (stage, key)
);
"""


@dataclass(frozen=True)
class FileState:
    """A file as it lay on disk when its header was read."""

    path: str
    size: int
    modified_ns: int


@dataclass(frozen=True)
class ReadFile:
    """One file's header, or why it has none."""

    state: FileState
    header: Header | None
    problem: str | None


class ArchiveIndex:
    """The index; use it through ``open_index``."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def known(self) -> dict[str, FileState]:
        """The files that were read, by path."""
        rows = self._connection.execute("SELECT path, size, modified_ns FROM files")
        return {path: FileState(path, size, modified) for path, size, modified in rows}

    def add(self, files: Iterable[ReadFile]) -> None:
        """Store headers, durably; a file that changed replaces its old row."""
        rows = [
            (
                *(one.state.path, one.state.size, one.state.modified_ns),
                None if one.header is None else one.header["SeriesInstanceUID"],
                None if one.header is None else json.dumps(one.header),
                one.problem,
            )
            for one in files
        ]
        with self._connection:
            self._connection.executemany("REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)", rows)

    def forget(self, paths: Iterable[str]) -> None:
        """Drop files that are no longer in the archive."""
        with self._connection:
            self._connection.executemany("DELETE FROM files WHERE path = ?", [(p,) for p in paths])

    def problems(self) -> dict[str, int]:
        """How many files could not be read, by what was wrong with them."""
        rows = self._connection.execute(
            "SELECT problem, COUNT(*) FROM files WHERE problem IS NOT NULL GROUP BY problem"
        )
        return dict(rows.fetchall())

    def series(self) -> Iterator[list[tuple[str, Header]]]:
        """Path and header of every image, a series at a time: memory holds one series."""
        uids = self._connection.execute(
            "SELECT DISTINCT series FROM files WHERE series IS NOT NULL ORDER BY series"
        )
        for (uid,) in uids.fetchall():
            rows = self._connection.execute(
                "SELECT path, header FROM files WHERE series = ? ORDER BY path", (uid,)
            )
            yield [(path, json.loads(header)) for path, header in rows]

    def outcome(self, stage: str, key: str, digest: str) -> dict[str, Any] | None:
        """What a stage made of a key, if it did so from the same input; else None."""
        row = self._connection.execute(
            "SELECT outcome FROM done WHERE stage = ? AND key = ? AND digest = ?",
            (stage, key, digest),
        ).fetchone()
        return None if row is None else dict(json.loads(row[0]))

    def finish(self, stage: str, key: str, digest: str, outcome: dict[str, Any]) -> None:
        """Store what a stage made of a key, durably."""
        with self._connection:
            self._connection.execute(
                "REPLACE INTO done VALUES (?, ?, ?, ?)", (stage, key, digest, json.dumps(outcome))
            )


@contextmanager
def open_index(path: Path) -> Iterator[ArchiveIndex]:
    """Open or make the index at ``path``, readable by its owner only."""
    path.touch(mode=0o600, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(_SCHEMA)
        yield ArchiveIndex(connection)
