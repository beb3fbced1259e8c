"""Puts results into a folder: each file appears there complete and on disk, or not at all."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from willis_service.application.ports.delivering import Parcel, Report
from willis_service.domain.delivery import UNREACHABLE, Outcome, Postponed, Sent
from willis_service.domain.job import Job, ResultKind

RETRACTED = "retracted.json"


@dataclass(frozen=True)
class FolderCarrier:
    """Writes ``<path>/<job>/<file>``. A retraction leaves ``retracted.json`` beside the files."""

    path: Path

    def __call__(self, parcels: Sequence[Parcel], report: Report) -> None:
        """Copy one job's files in order."""
        for parcel in parcels:
            report(parcel, self._copy(parcel))

    def _copy(self, parcel: Parcel) -> Outcome:
        try:
            # The share itself is not made: an empty mount point must not be taken for it.
            if not self.path.is_dir():
                return Postponed(UNREACHABLE, "The folder is not there.", is_away=True)
            folder = self.path / parcel.job.id
            folder.mkdir(exist_ok=True)
            _sync(self.path)
            if parcel.delivery.kind is ResultKind.RETRACTION:
                _write(folder / RETRACTED, _notice(parcel.job))
            if parcel.path.is_file():
                _write(folder / parcel.delivery.kind.value, parcel.path)
        except OSError as error:
            # A share comes back, and a full disk is emptied: nothing here is for good.
            name = os.strerror(error.errno) if error.errno else type(error).__name__
            return Postponed("FOLDER_ERROR", f"The folder can't be written: {name}.", is_away=True)
        return Sent()


def _notice(job: Job) -> bytes:
    at = job.retracted_at.isoformat() if job.retracted_at else None
    notice = {"job_id": job.id, "retracted_at": at, "reason": job.retraction_reason}
    return json.dumps(notice, indent=2).encode() + b"\n"


def _write(target: Path, content: Path | bytes) -> None:
    partial = target.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with partial.open("xb") as stream:
            if isinstance(content, bytes):
                stream.write(content)
            else:
                with content.open("rb") as source:
                    shutil.copyfileobj(source, stream)
            stream.flush()
            os.fsync(stream.fileno())
        partial.rename(target)
    finally:
        partial.unlink(missing_ok=True)
    _sync(target.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
