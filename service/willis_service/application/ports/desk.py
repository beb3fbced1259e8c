"""What REST and the command line ask of the application. Built in ``bootstrap``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from willis_service.domain.alarm import Alarm
from willis_service.domain.job import Job, JobState, Options, Priority, QueueState, ResultKind


class QueueDesk(Protocol):
    """What a person asks of the queue."""

    @property
    def admit(self) -> Callable[[Priority], None]:
        """Call it before more work is taken in. Raises QueueTooLong."""
        ...

    def retry(self, job_id: str) -> Job:
        """Queue a failed job again, a parked one too. Raises UnknownJob or NotFailed."""
        ...

    def alarms(self, limit: int) -> Sequence[Alarm]:
        """What has no result and should have one, newest first."""
        ...

    def state(self) -> QueueState:
        """The queue now."""
        ...

    def ended_since(self, moment: datetime, limit: int) -> Sequence[Job]:
        """Jobs that ended at or after this time, in the order of their ending."""
        ...


class JobDesk(Protocol):
    """Studies in, jobs and results out.

    Errors come from the tree in ``willis_models.errors``: UnknownPipeline, UnknownStudy,
    UnknownJob, NotReady, BadUpload, BadOption, UploadTooLarge, QueueTooLong, StorageFull.
    """

    @property
    def queue(self) -> QueueDesk:
        """What is asked of the queue as a whole."""
        ...

    def submit_files(
        self,
        files: Iterable[Path],
        pipeline: str,
        priority: Priority | None = None,
        options: Options | None = None,
    ) -> Job:
        """Take uploaded DICOM files (or NIfTI files) and queue one job for their study.

        ``queue.admit`` is asked first, before the upload is read. Without a priority the rules of
        the installation give it. The same files with other options are another job. Raises
        BadOption.
        """
        ...

    def submit_study(
        self,
        study_instance_uid: str,
        pipeline: str,
        priority: Priority | None = None,
        options: Options | None = None,
    ) -> Job:
        """Queue a job for a study already received. Raises QueueTooLong where it would be new."""
        ...

    def job(self, job_id: str) -> Job:
        """The job as it stands now."""
        ...

    def recent_jobs(self, limit: int = 50, state: JobState | None = None) -> Sequence[Job]:
        """The latest jobs, newest first; only those in a state where one is named."""
        ...

    def wait_for(self, job_id: str, seconds: float) -> Job:
        """The job once it is final, or as it stands when the time is over."""
        ...

    def result_path(self, job_id: str, kind: ResultKind) -> Path:
        """Where a result lies. Raises NotReady while or because there is none."""
        ...

    def readiness(self) -> dict[str, str]:
        """Each part (database, broker, worker, disk, models) and "ok" or what is wrong."""
        ...
