"""What is kept of ended studies, and its removal: the row first, the bytes after.

A row that says "removed" makes the same instance be stored anew when it comes again, under a name
of its own. So whatever a crash leaves behind is a file that nobody refers to, and never a row
without its file.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, or_, select, tuple_, update

from willis_service.adapters.storage.database import Database
from willis_service.adapters.storage.job_rows import take_turns
from willis_service.adapters.storage.kept import (
    HAS_RESULTS,
    IS_KEPT,
    images_of,
    studies_of,
)
from willis_service.adapters.storage.tables import INSTANCE, JOB, STUDY
from willis_service.domain.retention import Holding, Part

_BATCH = 200
_SWEPT_FOR = timedelta(days=2)
_HAS_INSTANCES = or_(
    STUDY.c.instances_purged_at.is_(None), STUDY.c.last_instance_at > STUDY.c.instances_purged_at
)


@dataclass(frozen=True)
class SqlHoldings:
    """Serves the port Holdings. ``root`` is the data folder."""

    database: Database
    root: Path

    def oldest_first(self) -> Iterator[Holding]:
        """Everything that is kept, what arrived first first; read as it is asked for."""
        yield from self._studies()
        yield from self._images()

    def remove(self, holding: Holding, part: Part, now: datetime) -> bool:
        """Forget and delete one part; False where something happened to the study meanwhile."""
        with self.database.write() as connection:
            take_turns(connection, holding.study_instance_uid)
            current = _current(connection, holding)
            if current is None or not _is_as_seen(current, holding, part):
                return False
            if part is Part.INSTANCES:
                files = _forget_instances(connection, holding.study_instance_uid, now)
            else:
                files = _forget_results(connection, holding.job_ids, now)
        self._delete(files)
        return True

    def sweep(self, now: datetime) -> int:
        """Delete files that were forgotten and are still there after a crash; how many."""
        lately = INSTANCE.c.purged_at > now - _SWEPT_FOR
        with self.database.read() as connection:
            paths = connection.execute(select(INSTANCE.c.path).where(lately)).scalars().all()
        left = [path for path in paths if (self.root / path).exists()]
        self._delete(left)
        return len(left)

    def _studies(self) -> Iterator[Holding]:
        place = (STUDY.c.last_instance_at, STUDY.c.study_instance_uid)
        with_results = exists().where(
            JOB.c.study_instance_uid == STUDY.c.study_instance_uid, HAS_RESULTS
        )
        query = select(*place).where(or_(_HAS_INSTANCES, with_results)).order_by(*place)
        last: tuple[datetime, str] | None = None
        while True:
            after: Sequence[ColumnElement[bool]] = [tuple_(*place) > last] if last else []
            with self.database.read() as connection:
                rows = connection.execute(query.where(*after).limit(_BATCH)).all()
                found = studies_of(connection, [uid for _, uid in rows])
            if not rows:
                return
            yield from found
            last = (rows[-1][0], rows[-1][1])

    def _images(self) -> Iterator[Holding]:
        """Uploaded images that belong to no study: each job is on its own."""
        with self.database.read() as connection:
            yield from images_of(connection)

    def _delete(self, files: Sequence[str]) -> None:
        for place in files:
            path = self.root / place
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
                _remove_empty(path.parent, self.root)


def _is_as_seen(current: Holding, holding: Holding, part: Part) -> bool:
    same_images = current.instance_count == holding.instance_count or part is Part.RESULTS
    return same_images and not current.blockers and current.done_at == holding.done_at


def _current(connection: Connection, holding: Holding) -> Holding | None:
    uid = holding.study_instance_uid
    if uid:
        locked = select(STUDY.c.study_instance_uid).where(STUDY.c.study_instance_uid == uid)
        connection.execute(locked.with_for_update())
        found = studies_of(connection, [uid])
    else:
        found = [one for one in images_of(connection) if one.job_ids == holding.job_ids]
    return found[0] if found else None


def _forget_instances(connection: Connection, uid: str, now: datetime) -> list[str]:
    kept = and_(INSTANCE.c.study_instance_uid == uid, IS_KEPT)
    paths = list(connection.execute(select(INSTANCE.c.path).where(kept)).scalars())
    connection.execute(update(INSTANCE).where(kept).values(purged_at=now))
    this = STUDY.c.study_instance_uid == uid
    connection.execute(update(STUDY).where(this).values(instances_purged_at=now))
    return paths


def _forget_results(connection: Connection, job_ids: Sequence[str], now: datetime) -> list[str]:
    these = and_(JOB.c.id.in_(job_ids), HAS_RESULTS)
    gone: dict[str, Any] = {"results": [], "edition": None, "results_purged_at": now}
    connection.execute(update(JOB).where(these).values(gone))
    return [f"{folder}/{job}" for job in job_ids for folder in ("results", "outgoing")]


def _remove_empty(folder: Path, root: Path) -> None:
    """Remove folders that have become empty, up to the data folder."""
    while folder != root and root in folder.parents:
        try:
            folder.rmdir()
        except OSError:  # not empty, or somebody just put something there
            return
        folder = folder.parent
