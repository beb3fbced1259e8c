"""Prepared cases on disk: what the service's ``prepare`` gives, kept once with its truth.

A store is a folder of ``<case>.npz`` with ``image`` (c, z, y, x) float32, ``labels`` (z, y, x)
uint8 and, where the preparation knows them, ``tissues`` (z, y, x) uint8; and an ``index.json`` that
says of each case what it was made of. Filling resumes; a case is made again only when its input
files or the preparation changed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from willis_models.errors import InputError
from willis_models.manifest import sha256_of
from willis_training.datasets.base import Subject, SubjectSet

INDEX = "index.json"


@dataclass(frozen=True)
class PreparedCase:
    """One case on the network's grid: image (c, z, y, x), labels (z, y, x), voxel size (z, y, x).

    ``tissues`` (z, y, x) name what each voxel is made of, where that is known; None otherwise.
    """

    image: NDArray[np.float32]
    labels: NDArray[np.uint8]
    spacing_mm: tuple[float, float, float]
    tissues: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        if self.image.ndim != 4 or self.image.dtype != np.float32:
            raise ValueError(
                f"image is {self.image.dtype} {self.image.shape}; float32 (c, z, y, x)"
            )
        for name in ("labels", "tissues"):
            values = getattr(self, name)
            if values is not None and (
                values.shape != self.image.shape[1:] or values.dtype != np.uint8
            ):
                raise ValueError(f"{name}: {values.dtype} {values.shape} for {self.image.shape}")

    @property
    def nbytes(self) -> int:
        """Size in memory."""
        tissues = 0 if self.tissues is None else self.tissues.nbytes
        return self.image.nbytes + self.labels.nbytes + tissues


class Preparation(Protocol):
    """From a subject to the network's input; the same value gives the same bits, anywhere."""

    @property
    def digest(self) -> str:
        """Changes whenever any parameter does that may change a result."""
        ...

    @property
    def description(self) -> Mapping[str, Any]:
        """The parameters, for the index: JSON values."""
        ...

    def __call__(self, subject: Subject) -> PreparedCase:
        """Prepare. Raises InputError where the service would reject the study."""
        ...


class CaseEntry(BaseModel):
    """What the index says of a case."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    """Digest of the input files and the preparation together."""
    content_sha256: str
    """Digest of the stored arrays."""
    shape: tuple[int, int, int]
    channels: int
    spacing_mm: tuple[float, float, float]
    labelled_voxels: int


class StoreIndex(BaseModel):
    """``index.json`` of a store."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: str = "1.0"
    data_set: str = ""
    label_names: Mapping[int, str] = {}
    preparation: Mapping[str, Any] = {}
    cases: Mapping[str, CaseEntry] = {}
    set_aside: Mapping[str, str] = {}
    """Cases without a prepared form, with the reason."""


class CaseStore:
    """A folder of prepared cases, opened for reading. Raises FileNotFoundError without an index."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        if not (self.folder / INDEX).exists():
            raise FileNotFoundError(
                f"{self.folder} is no store of prepared cases: it has no {INDEX}. Fill it with "
                "`willis-train prepare`."
            )
        self.index = StoreIndex.model_validate_json((self.folder / INDEX).read_text())

    @property
    def cases(self) -> tuple[str, ...]:
        """Ids of all prepared cases, sorted."""
        return tuple(sorted(self.index.cases))

    @property
    def label_names(self) -> Mapping[int, str]:
        """Label value to name, background (0) included."""
        return self.index.label_names

    def read(self, case: str) -> PreparedCase:
        """One case. Raises KeyError for an unknown one."""
        spacing_mm = self.index.cases[case].spacing_mm
        with np.load(self.folder / f"{case}.npz") as stored:
            tissues = stored["tissues"] if "tissues" in stored.files else None
            return PreparedCase(stored["image"], stored["labels"], spacing_mm, tissues)

    def digest(self, cases: Sequence[str]) -> str:
        """One digest of the contents of some cases, whatever their order."""
        lines = [f"{name} {self.index.cases[name].content_sha256}\n" for name in sorted(cases)]
        return hashlib.sha256("".join(lines).encode()).hexdigest()


class RememberedCases(CaseStore):
    """A store that keeps what was read last in memory, up to a limit."""

    def __init__(self, folder: Path, memory_mb: int) -> None:
        super().__init__(folder)
        self._memory: OrderedDict[str, PreparedCase] = OrderedDict()
        self._limit, self._held = memory_mb * 1_000_000, 0

    def read(self, case: str) -> PreparedCase:
        """From memory where it is there."""
        if case in self._memory:
            self._memory.move_to_end(case)
            return self._memory[case]
        found = super().read(case)
        self._memory[case] = found
        self._held += found.nbytes
        while self._held > self._limit and len(self._memory) > 1:
            self._held -= self._memory.popitem(last=False)[1].nbytes
        return found


def prepare_cases(
    subject_set: SubjectSet,
    prepare: Preparation,
    folder: Path,
    report: Callable[[str], None] = lambda _line: None,
    workers: int = 1,
) -> CaseStore:
    """Fill a store with every labelled subject; what is there and unchanged is kept.

    A subject that the service would reject is set aside with its reason. ``report`` gets a line
    for each subject made or set aside. ``workers`` processes, for which ``prepare`` must pickle.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stored = _stored_index(folder)
    subjects = [subject for subject in subject_set.subjects() if subject.label is not None]
    index = StoreIndex(
        data_set=subject_set.name,
        label_names=subject_set.label_names,
        preparation={**prepare.description, "digest": prepare.digest},
    )
    for n, outcome in enumerate(_outcomes(subjects, prepare, folder, stored, workers), start=1):
        index = _with_outcome(index, outcome)
        if outcome.is_new:
            # What was stored before stays known, so that a stop here loses nothing.
            so_far = index.model_copy(update={"cases": {**stored.cases, **index.cases}})
            _write_atomically(folder / INDEX, so_far.model_dump_json(indent=1))
            report(f"{n} of {len(subjects)}: {outcome.case} {outcome.reason or 'prepared'}")
    _write_atomically(folder / INDEX, index.model_dump_json(indent=1))
    return CaseStore(folder)


def write_case(case: PreparedCase, name: str, folder: Path, key: str) -> CaseEntry:
    """Write ``<name>.npz``, complete or not at all, and say what it holds."""
    arrays: dict[str, Any] = {"image": case.image, "labels": case.labels}
    if case.tissues is not None:
        arrays["tissues"] = case.tissues
    partial_file = folder / f"{name}.part.npz"
    np.savez(partial_file, **arrays)
    os.replace(partial_file, folder / f"{name}.npz")
    return CaseEntry(
        key=key,
        content_sha256=content_digest(case),
        shape=case.labels.shape,
        channels=len(case.image),
        spacing_mm=case.spacing_mm,
        labelled_voxels=int(np.count_nonzero(case.labels)),
    )


def content_digest(case: PreparedCase) -> str:
    """Digest of a case's arrays and voxel size, independent of how they are stored."""
    arrays = digest_of_arrays([case.image, case.labels, case.tissues])
    return parameters_digest({"arrays": arrays, "spacing_mm": list(case.spacing_mm)})


def digest_of_arrays(arrays: Sequence[NDArray[Any] | None]) -> str:
    """Of types, shapes and values; None stands for an array that is not there."""
    digest = hashlib.sha256()
    for values in arrays:
        digest.update(b"none" if values is None else f"{values.dtype} {values.shape}".encode())
        if values is not None:
            digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def parameters_digest(description: Mapping[str, Any]) -> str:
    """The digest of a preparation that its description says all about."""
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class _Outcome:
    case: str
    entry: CaseEntry | None = None
    reason: str | None = None
    is_new: bool = True


def _outcomes(
    subjects: Sequence[Subject],
    prepare: Preparation,
    folder: Path,
    stored: StoreIndex,
    workers: int,
) -> Iterator[_Outcome]:
    work = partial(_one, prepare=prepare, folder=folder, stored=stored)
    pool = ProcessPoolExecutor(workers, get_context("spawn")) if workers > 1 else None
    with pool or nullcontext():
        yield from (pool.map(work, subjects) if pool else map(work, subjects))


def _one(subject: Subject, prepare: Preparation, folder: Path, stored: StoreIndex) -> _Outcome:
    name = subject.subject_id
    key = _key(subject, prepare.digest)
    known = stored.cases.get(name)
    if known is not None and known.key == key and (folder / f"{name}.npz").exists():
        return _Outcome(name, known, is_new=False)
    try:
        case = prepare(subject)
    except InputError as error:
        return _Outcome(name, reason=f"set aside: {error.code}: {error.message}")
    return _Outcome(name, write_case(case, name, folder, key))


def _key(subject: Subject, preparation: str) -> str:
    files = {role: sha256_of(path) for role, path in sorted(subject.images.items())}
    if subject.label is not None:
        files["label"] = sha256_of(subject.label)
    return parameters_digest({"files": files, "preparation": preparation})


def _with_outcome(index: StoreIndex, outcome: _Outcome) -> StoreIndex:
    if outcome.entry is None:
        found = {"set_aside": {**index.set_aside, outcome.case: str(outcome.reason)}}
        return index.model_copy(update=found)
    return index.model_copy(update={"cases": {**index.cases, outcome.case: outcome.entry}})


def _stored_index(folder: Path) -> StoreIndex:
    path = folder / INDEX
    return StoreIndex.model_validate_json(path.read_text()) if path.exists() else StoreIndex()


def _write_atomically(path: Path, text: str) -> None:
    partial_file = path.with_suffix(".part")
    partial_file.write_text(text)
    os.replace(partial_file, path)
