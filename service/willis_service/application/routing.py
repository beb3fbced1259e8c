"""Turn a study into a job: choose the series, order once, tell the workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from willis_models.errors import BrokerUnavailable, InputError, UnknownPipeline
from willis_models.pipelines.base import Pipeline
from willis_service.application.ports import (
    BundleCatalogue,
    Clock,
    InstanceArchive,
    JobBook,
    JobCare,
    SeriesSelector,
    WorkQueue,
)
from willis_service.domain.instance import StoredInstance
from willis_service.domain.job import Job, JobOrder
from willis_service.domain.study import fingerprint

_LOG = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Dispatch:
    """Tells the workers about a queued job. The database is the truth: a lost hint is put back."""

    queue: WorkQueue
    care: JobCare
    clock: Clock

    def __call__(self, job_id: str) -> None:
        """Send the hint; without a broker the job waits for the reconciler."""
        try:
            self.queue.put_analysis(job_id)
        except BrokerUnavailable:
            _LOG.warning("queue_unreachable", job_id=job_id)
            return
        self.care.note_enqueued(job_id, self.clock())


@dataclass(frozen=True)
class Routing:
    """Chooses the series for a pipeline and orders the one job for them."""

    pipelines: Mapping[str, Pipeline]
    bundles: BundleCatalogue
    select: SeriesSelector
    archive: InstanceArchive
    book: JobBook
    dispatch: Dispatch
    clock: Clock

    def pipeline(self, name: str) -> Pipeline:
        """The enabled pipeline of this name. Raises UnknownPipeline."""
        if name not in self.pipelines:
            known = ", ".join(sorted(self.pipelines)) or "none"
            raise UnknownPipeline(f"There is no pipeline {name}. Known: {known}.")
        return self.pipelines[name]

    def route(
        self, study_instance_uid: str, instances: Sequence[StoredInstance], pipeline: Pipeline
    ) -> Job:
        """The job for this study. A study that does not fit gets one too, and it is rejected."""
        chosen = self._chosen([i for i in instances if i.may_hold_an_image], pipeline)
        order = JobOrder(
            study_instance_uid=study_instance_uid,
            pipeline=pipeline.name,
            bundle=self.bundles.current(pipeline.name),
            input_fingerprint=fingerprint(study_instance_uid, chosen),
            # Without any image the worker still needs a header for the report of the rejection.
            inputs=tuple(i.path for i in chosen or instances),
        )
        return self.place(order)

    def place(self, order: JobOrder) -> Job:
        """Store the order and tell the workers, unless the job exists."""
        job, is_new = self.book.order(order, self.clock())
        if is_new:
            _LOG.info("job_queued", job_id=job.id, pipeline=job.pipeline)
            self.dispatch(job.id)
        return job

    def _chosen(
        self, images: Sequence[StoredInstance], pipeline: Pipeline
    ) -> Sequence[StoredInstance]:
        by_path = {self.archive.path_of(i.path): i for i in images}
        try:
            return [by_path[path] for path in self.select(pipeline.roles, list(by_path))]
        except InputError:
            # The worker meets the same error on the same files and reports it, with its code.
            return images
        except Exception as error:
            # A bug met on one study must not keep the others waiting. The worker meets it too, and
            # ends the job as failed, where a person can see it.
            _LOG.error("selection_failed", error=type(error).__name__)
            return images
