"""Published results: each set of them in a folder of its own, there in full or not at all.

A run puts its folder in place first and tells the database after. Which folder counts is the
database's word alone, so a run that lost its job can put what it likes where nobody looks.
"""

from __future__ import annotations

import errno
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from willis_models.errors import NotReady, StorageFull
from willis_service.adapters.storage.files import make_durable_folder, sync
from willis_service.domain.job import Edition, ResultKind

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_STAGED = ".staged-"


@dataclass(frozen=True)
class ResultFolders:
    """``root/<job>/<edition>/``; ``live`` says which edition of a job counts, None for none."""

    root: Path
    live: Callable[[str], str | None]

    @contextmanager
    def stage(self, edition: Edition) -> Iterator[Path]:
        """A private folder to write into; gone afterwards unless published."""
        name = f"{_STAGED}{edition.job_id}-{edition.name}-{uuid.uuid4().hex[:8]}"
        with _disk_errors():
            make_durable_folder(self.root / name)
        try:
            yield self.root / name
        finally:
            shutil.rmtree(self.root / name, ignore_errors=True)

    def publish(self, edition: Edition, folder: Path) -> None:
        """Put a staged folder in the edition's place, all at once and durably."""
        target = self._folder(edition)
        with _disk_errors():
            for file in folder.iterdir():
                sync(file)
            sync(folder)
            make_durable_folder(target.parent)
            folder.rename(target)
            sync(target.parent)

    def discard(self, edition: Edition) -> None:
        """Remove an edition that does not count."""
        shutil.rmtree(self._folder(edition), ignore_errors=True)

    def path(self, job_id: str, kind: ResultKind) -> Path:
        """Where a result that counts lies. Raises NotReady where the job has none."""
        live = self.live(job_id)
        if live is None:
            raise NotReady("The job has no results: ask again when it has ended.")
        return self._folder(Edition(job_id, live)) / kind.value

    def editions(self, older_than_s: float) -> Iterator[Edition]:
        """Every edition on disk of at least this age, whether it counts or not."""
        for folder in self.root.glob("[!.]*/*/"):
            if _age_s(folder) >= older_than_s:
                yield Edition(folder.parent.name, folder.name)

    def sweep_stages(self, older_than_s: float) -> int:
        """Remove what writers that were killed left half done; how many folders."""
        stages = [one for one in self.root.glob(f"{_STAGED}*") if _age_s(one) >= older_than_s]
        for stage in stages:
            shutil.rmtree(stage, ignore_errors=True)
        return len(stages)

    def _folder(self, edition: Edition) -> Path:
        return self.root / edition.job_id / edition.name


def _age_s(folder: Path) -> float:
    try:
        return time.time() - folder.stat().st_mtime
    except FileNotFoundError:  # gone since it was listed
        return -1.0


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise StorageFull("The disk is full: free space, then try again.") from error
        raise
