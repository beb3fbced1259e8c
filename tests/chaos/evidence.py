"""What the service has, read past its code: the database file, the folders, the processes."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from pydicom import dcmread

from tests.chaos.rig import ROLES, Rig
from tests.chaos.studies import data_set_of

RESULT_OBJECTS = ("seg.dcm", "sr.dcm")
FINAL = ("succeeded", "rejected", "failed", "superseded")


@dataclass(frozen=True)
class JobRow:
    """A job as the database has it."""

    id: str
    study_instance_uid: str
    pipeline: str
    input_fingerprint: str
    state: str
    attempts: int
    error_code: str | None
    finished_at: datetime | None
    results: Sequence[str]

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state in FINAL

    @property
    def is_live(self) -> bool:
        """Whether its result is the one that counts."""
        return self.state in ("succeeded", "rejected", "failed")


def jobs(rig: Rig, study_instance_uid: str | None = None) -> list[JobRow]:
    """Every job, or those of one study, oldest first."""
    columns = "id, study_instance_uid, pipeline, input_fingerprint, state, attempts, error_code"
    where = "study_instance_uid = ?" if study_instance_uid else "1"
    query = f"SELECT {columns}, finished_at, results FROM job WHERE {where} ORDER BY created_at"
    rows = _query(rig.data, query, *((study_instance_uid,) if study_instance_uid else ()))
    return [
        JobRow(*row[:-2], finished_at=_moment(row[-2]), results=json.loads(row[-1])) for row in rows
    ]


def open_studies(rig: Rig) -> list[str]:
    """Studies that were not routed since their last instance."""
    return [
        uid
        for (uid,) in _query(
            rig.data, "SELECT study_instance_uid FROM study WHERE open_since IS NOT NULL"
        )
    ]


def stored(rig: Rig) -> Mapping[str, list[Path]]:
    """Files of each SOP Instance UID that the database knows."""
    files: dict[str, list[Path]] = defaultdict(list)
    for uid, path in _query(rig.data, "SELECT sop_instance_uid, path FROM instance"):
        files[uid].append(rig.data / path)
    return files


def digests(paths: Sequence[Path]) -> set[str]:
    """Digests of the data sets in these files; one that is missing has none."""
    found = set()
    for path in paths:
        with suppress(OSError, ValueError):
            found.add(hashlib.sha256(data_set_of(path)).hexdigest())
    return found


def results_of(rig: Rig, job_id: str, kind: str) -> list[Path]:
    """Every file of this kind that lies in the job's folder."""
    return sorted((rig.data / "results" / job_id).rglob(kind))


def result_objects(rig: Rig, job_list: Iterable[JobRow] | None = None) -> dict[str, str]:
    """SOP Instance UIDs of the live results' DICOM objects, with the study of each."""
    found = {}
    for job in jobs(rig) if job_list is None else job_list:
        if job.is_live:
            kinds = [kind for kind in job.results if kind in RESULT_OBJECTS]
            for path in (path for kind in kinds for path in results_of(rig, job.id, kind)):
                header = dcmread(path, stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
                found[str(header.SOPInstanceUID)] = job.study_instance_uid
    return found


@dataclass(frozen=True)
class Vital:
    """How much a process holds."""

    pid: int
    threads: int
    descriptors: int


def vitals(rig: Rig) -> Mapping[str, Vital]:
    """Threads and descriptors of each role that runs, and of the supervisor."""
    found = {}
    for name in ROLES:
        with suppress(LookupError, psutil.NoSuchProcess):
            found[name] = _vital(rig.role(name))
    if rig.process is not None:
        found["supervisor"] = _vital(psutil.Process(rig.process.pid))
    return found


def _vital(process: psutil.Process) -> Vital:
    return Vital(process.pid, process.num_threads(), process.num_fds())


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)


def _query(data: Path, text: str, *values: str) -> list[Any]:
    address = f"file:{data / 'willis.sqlite'}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=60)) as connection:
        return connection.execute(text, values).fetchall()
