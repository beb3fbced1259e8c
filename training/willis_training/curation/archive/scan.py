"""Find the files of an archive and read their headers: in parallel, and each file only once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError

from willis_training.curation.archive.headers import read_header
from willis_training.curation.archive.index import ArchiveIndex, FileState, ReadFile
from willis_training.curation.archive.workers import in_parallel

CHUNK = 256
Advance = Callable[[int], None]


class SourceUnusable(ValueError):
    """The source is no DICOMDIR and no folder with files; the message says what to give."""


def scan(source: Path, index: ArchiveIndex, workers: int, advance: Advance) -> int:
    """Bring the index up to date with the source; returns the number of its files.

    Files that the index knows, of unchanged size and time, are not opened again. ``advance`` hears
    of every file that is done. Raises SourceUnusable.
    """
    known = index.known()
    states = {state.path: state for state in _list(source)}
    if not states:
        raise SourceUnusable(f"{source} holds no files.")
    index.forget(known.keys() - states.keys())
    fresh = [state for path, state in states.items() if known.get(path) != state]
    advance(len(states) - len(fresh))
    chunks = [fresh[start : start + CHUNK] for start in range(0, len(fresh), CHUNK)]
    for read in in_parallel(read_headers, chunks, workers):
        index.add(read)
        advance(len(read))
    return len(states)


def read_headers(states: Sequence[FileState]) -> list[ReadFile]:
    """The headers of some files."""
    return [_read(state) for state in states]


def _read(state: FileState) -> ReadFile:
    try:
        return ReadFile(state, read_header(Path(state.path)), None)
    except FileNotFoundError:
        return ReadFile(state, None, "missing")
    except InvalidDicomError:
        return ReadFile(state, None, "not-dicom")
    # A damaged file fails inside pydicom in many ways; it is one file of a great many.
    except Exception as error:
        return ReadFile(state, None, f"unreadable ({type(error).__name__})")


def _list(source: Path) -> Iterator[FileState]:
    """The files that a DICOMDIR names, or all files below a folder."""
    if source.is_dir() and (source / "DICOMDIR").is_file():
        source = source / "DICOMDIR"
    if source.is_file():
        yield from _listed_in(source)
    elif source.is_dir():
        yield from _below(source)
    else:
        raise SourceUnusable(f"{source} does not exist: give a folder or a DICOMDIR.")


def _below(folder: Path) -> Iterator[FileState]:
    for root, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(root, name)
            if path.is_file() and not name.startswith("."):
                yield _state_of(path)


def _state_of(path: Path) -> FileState:
    status = path.stat()
    return FileState(str(path), status.st_size, status.st_mtime_ns)


def _listed_in(dicomdir: Path) -> Iterator[FileState]:
    """A missing file is listed with size -1: it is counted, and reading it says what is wrong."""
    for path in _referenced_files(dicomdir):
        yield _state_of(path) if path.is_file() else FileState(str(path), -1, 0)


def _referenced_files(dicomdir: Path) -> Iterator[Path]:
    """ReferencedFileID of every record (PS3.3 F.3).

    Reads the records and not their tree, so that damaged links between them lose nothing.
    """
    try:
        records: Sequence[Dataset] = dcmread(dicomdir).DirectoryRecordSequence
    except (InvalidDicomError, AttributeError) as error:
        raise SourceUnusable(f"{dicomdir} is not a DICOMDIR: give the folder instead.") from error
    root = dicomdir.parent
    names = {name.lower(): name for name in os.listdir(root)}
    for record in records:
        parts = record.get("ReferencedFileID")
        if parts:
            yield _as_on_disk(root, [parts] if isinstance(parts, str) else list(parts), names)


def _as_on_disk(root: Path, parts: list[str], names: dict[str, str]) -> Path:
    """DICOM file IDs are upper case; a copied disc may have been written in lower case."""
    path = root.joinpath(*parts)
    if path.exists():
        return path
    lowered = root.joinpath(names.get(parts[0].lower(), parts[0]), *(p.lower() for p in parts[1:]))
    return lowered if lowered.exists() else path
