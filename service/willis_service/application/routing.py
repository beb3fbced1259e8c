"""Turn a study into a job: choose the series, order once, tell the workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from willis_models.errors import BrokerUnavailable, UnknownPipeline
from willis_models.pipelines.base import Pipeline
from willis_service.application.ports import (
    BundleCatalogue,
    Choice,
    Clock,
    InstanceArchive,
    JobBook,
    JobCare,
    SeriesSelector,
    WorkQueue,
)
from willis_service.domain.completeness import Lack
from willis_service.domain.instance import StoredInstance
from willis_service.domain.job import Job, JobOrder, Options, Priority, asked_fingerprint
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

    def choice(self, instances: Sequence[StoredInstance], pipeline: Pipeline) -> Choice:
        """The input of the pipeline among the study's images, and whether the rules ask for it."""
        senders = {self.archive.path_of(i.path): i.sender for i in images_of(instances)}
        try:
            return self.select(pipeline, senders)
        except Exception as error:
            # A bug met on one study must not keep the others waiting. The worker meets it too, and
            # ends the job as failed, where a person can see it.
            _LOG.error("selection_failed", error=type(error).__name__)
            every = tuple(senders)
            return Choice(every, every, is_asked_for=bool(every), verdict=Lack.NO_SERIES)

    def order(
        self,
        study_instance_uid: str,
        instances: Sequence[StoredInstance],
        pipeline: str,
        choice: Choice,
        priority: Priority | None = None,
        options: Options | None = None,
    ) -> JobOrder:
        """The order for a choice among these instances. Raises ManifestInvalid."""
        options = options or {}
        role_of = {path: role for role, paths in choice.roles.items() for path in paths}
        by_path = {self.archive.path_of(i.path): i for i in instances}
        chosen = [by_path[path] for path in choice.files]
        return JobOrder(
            study_instance_uid=study_instance_uid,
            pipeline=pipeline,
            bundle=self.bundles.current(pipeline),
            input_fingerprint=asked_fingerprint(fingerprint(study_instance_uid, chosen), options),
            # Without any image the worker still needs a header for the report of the rejection.
            inputs=tuple(i.path for i in chosen or instances),
            priority=priority or choice.priority,
            roles=tuple(role_of[path] for path in choice.files) if role_of else (),
            options=options,
        )

    def place(self, order: JobOrder) -> Job:
        """Store the order and tell the workers, unless the job exists."""
        job, is_new = self.book.order(order, self.clock())
        if is_new:
            _LOG.info("job_queued", job_id=job.id, pipeline=job.pipeline)
            self.dispatch(job.id)
        return job

    def forget(self, instances: Sequence[StoredInstance]) -> None:
        """Let go of what the selection keeps in memory about these instances."""
        self.select.forget([self.archive.path_of(i.path) for i in instances])


def images_of(instances: Sequence[StoredInstance]) -> Sequence[StoredInstance]:
    """The instances that can be the input of an analysis."""
    return [instance for instance in instances if instance.may_hold_an_image]
