"""Examine a whole data set: in several processes, with progress, resuming where it stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from willis_training.datasets.base import Subject, SubjectSet
from willis_training.datasets.examine import (
    Examined,
    Fault,
    FaultCode,
    duplicates,
    examine_subject,
)

Progress = Callable[[int, int], None]
"""Called with the number of subjects done and their total."""


@dataclass(frozen=True)
class Survey:
    """What examining a data set gave."""

    name: str
    label_names: Mapping[int, str]
    examined: tuple[Examined, ...]
    duplicates: tuple[Fault, ...] = ()

    def faults(self, ignored: Sequence[FaultCode] = ()) -> list[Fault]:
        """All faults but the ignored kinds, by subject."""
        found = [fault for item in self.examined for fault in item.faults] + list(self.duplicates)
        return sorted(
            (fault for fault in found if fault.code not in ignored),
            key=lambda fault: (fault.subject_id, fault.code, fault.file or ""),
        )


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    examined: Examined


def survey(
    data_set: SubjectSet,
    workers: int = 1,
    journal: Path | None = None,
    progress: Progress = lambda _done, _total: None,
) -> Survey:
    """Examine every subject. With a ``journal`` (JSON lines), files that did not change since an
    earlier run are not read again.
    """
    subjects = data_set.subjects()
    known = _read_journal(journal)
    keys = [_key(subject, data_set.label_names) for subject in subjects]
    missing = [(k, s) for k, s in zip(keys, subjects, strict=True) if k not in known]
    done = len(subjects) - len(missing)
    progress(done, len(subjects))
    look = partial(examine_subject, label_names=dict(data_set.label_names))
    for (key, _), found in zip(
        missing, _mapped(look, [s for _, s in missing], workers), strict=True
    ):
        known[key] = found
        _append(journal, key, found)
        done += 1
        progress(done, len(subjects))
    examined = tuple(known[key] for key in keys)
    repeated = tuple(duplicates(subjects, examined))
    return Survey(data_set.name, data_set.label_names, examined, repeated)


def _mapped(
    look: Callable[[Subject], Examined], subjects: Sequence[Subject], workers: int
) -> Iterator[Examined]:
    if workers <= 1 or len(subjects) <= 1:
        yield from map(look, subjects)
        return
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        yield from pool.map(look, subjects)


def _key(subject: Subject, label_names: Mapping[int, str]) -> str:
    """Changes with any file of the subject, by size and time of change."""
    files = [*subject.images.values(), *([subject.label] if subject.label else [])]
    stamps = [(str(path), *_stamp(path)) for path in files]
    facts = (subject.subject_id, subject.site, sorted(subject.facts.items()))
    return hashlib.sha256(repr((facts, stamps, sorted(label_names))).encode()).hexdigest()[:32]


def _stamp(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:  # a dangling link: examining it will say so
        return 0, 0
    return stat.st_size, stat.st_mtime_ns


def _read_journal(journal: Path | None) -> dict[str, Examined]:
    if journal is None or not journal.exists():
        return {}
    known = {}
    for line in journal.read_text(encoding="utf-8").splitlines():
        try:
            entry = _Line.model_validate_json(line)
        except ValidationError:  # a line cut off by a crash, or written by another version
            continue
        known[entry.key] = entry.examined
    return known


def _append(journal: Path | None, key: str, examined: Examined) -> None:
    if journal is None:
        return
    journal.parent.mkdir(parents=True, exist_ok=True)
    with journal.open("a", encoding="utf-8") as file:
        file.write(_Line(key=key, examined=examined).model_dump_json() + "\n")
