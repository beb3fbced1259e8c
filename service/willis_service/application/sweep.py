"""Remove results that never counted: left by runs that lost their job, or died while they wrote."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import structlog

from willis_models.errors import UnknownJob
from willis_service.application.ports import JobBook
from willis_service.domain.job import Edition, Job, JobState

_LOG = structlog.get_logger(__name__)


class Leftovers(Protocol):
    """The folders of results, seen by whoever tidies them up."""

    def sweep_stages(self, older_than_s: float) -> int:
        """Remove what writers that were killed left half done; how many folders."""
        ...

    def editions(self, older_than_s: float) -> Iterable[Edition]:
        """Every edition on disk of at least this age."""
        ...

    def live(self, job_id: str) -> str | None:
        """The edition that counts."""
        ...

    def discard(self, edition: Edition) -> None:
        """Remove an edition that does not count."""
        ...


@dataclass(frozen=True)
class SweepResults:
    """Keeps what counts, and what a run may be about to make count."""

    leftovers: Leftovers
    book: JobBook
    older_than_s: float

    def __call__(self) -> int:
        """One round; how many folders were removed."""
        count = self.leftovers.sweep_stages(self.older_than_s)
        for edition in self.leftovers.editions(self.older_than_s):
            if self._is_stale(edition):
                self.leftovers.discard(edition)
                count += 1
        if count:
            _LOG.info("leftovers_removed", count=count)
        return count

    def _is_stale(self, edition: Edition) -> bool:
        try:
            job = self.book.get(edition.job_id)
        except UnknownJob:
            return False  # nothing of ours: left to a person
        return edition.name != self.leftovers.live(edition.job_id) and not _may_count(edition, job)


def _may_count(edition: Edition, job: Job) -> bool:
    return job.state is JobState.RUNNING and edition.name == str(job.token)
