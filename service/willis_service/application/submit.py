"""The desk behind REST and the command line: uploads in, jobs and results out."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from willis_models.errors import (
    BadUpload,
    DecodingError,
    NotReady,
    ResultRetracted,
    StorageFull,
    UnknownStudy,
    UploadTooLarge,
)
from willis_models.pipelines.base import Pipeline
from willis_service.application.image_roles import SIDECAR_SUFFIX, by_role, is_nifti
from willis_service.application.ordered import check_places, checked_options
from willis_service.application.ports import (
    Clock,
    ExtentReader,
    ImageArchive,
    InstanceParser,
    JobBook,
    Probe,
    QueueDesk,
    ResultShelf,
    StudyIndex,
)
from willis_service.application.receive import Intake
from willis_service.application.routing import Routing
from willis_service.domain.instance import IncomingInstance, StoredInstance
from willis_service.domain.job import (
    Job,
    JobOrder,
    JobState,
    Options,
    Priority,
    ResultKind,
    asked_fingerprint,
)

_WAIT_STEP_S = 0.1


@dataclass(frozen=True)
class Desk:
    """The ``JobDesk`` of an installation."""

    intake: Intake
    parse: InstanceParser
    images: ImageArchive
    index: StudyIndex
    routing: Routing
    book: JobBook
    shelf: ResultShelf
    queue: QueueDesk
    probes: Mapping[str, Probe]
    clock: Clock
    extent_of: ExtentReader
    max_upload_files: int
    sleep: Callable[[float], None] = time.sleep

    def submit_files(
        self,
        files: Iterable[Path],
        pipeline: str,
        priority: Priority | None = None,
        options: Options | None = None,
    ) -> Job:
        """Take uploaded DICOM files (or NIfTI files) and queue one job for what they hold."""
        chosen = self.routing.pipeline(pipeline)
        options = checked_options(chosen, options)
        paths = sorted(files)
        if not paths:
            raise BadUpload("The upload is empty: send DICOM files or NIfTI files.")
        if len(paths) > self.max_upload_files:
            raise UploadTooLarge(f"More than {self.max_upload_files} files in one upload.")
        if any(is_nifti(path) for path in paths):
            return self._submit_images(paths, chosen, priority, options)
        study = self._take_all(self._parsed(paths))[0].study_instance_uid
        # Images that are here already belong to the study too: an upload may bring the late ones.
        instances = self.index.instances(study)
        return self._ordered(study, instances, chosen, priority, options)

    def submit_study(
        self,
        study_instance_uid: str,
        pipeline: str,
        priority: Priority | None = None,
        options: Options | None = None,
    ) -> Job:
        """Queue a job for a study already received."""
        chosen = self.routing.pipeline(pipeline)
        options = checked_options(chosen, options)
        instances = self.index.instances(study_instance_uid)
        if not instances:
            raise UnknownStudy("No instance of this study was received.")
        if self.book.latest_of(study_instance_uid, pipeline) is None:
            self.queue.admit(priority or Priority.ROUTINE)
        return self._ordered(study_instance_uid, instances, chosen, priority, options)

    def job(self, job_id: str) -> Job:
        """The job as it stands now."""
        return self.book.get(job_id)

    def recent_jobs(self, limit: int = 50, state: JobState | None = None) -> Sequence[Job]:
        """The latest jobs, newest first; only those in a state where one is named."""
        return self.book.recent(limit, state)

    def wait_for(self, job_id: str, seconds: float) -> Job:
        """The job once it is final, or as it stands when the time is over."""
        end = time.monotonic() + seconds
        job = self.book.get(job_id)
        while not job.state.is_final and time.monotonic() < end:
            self.sleep(_WAIT_STEP_S)
            job = self.book.get(job_id)
        return job

    def result_path(self, job_id: str, kind: ResultKind) -> Path:
        """Where a result lies. Raises NotReady while or because there is none, ResultRetracted."""
        job = self.book.get(job_id)
        if kind not in job.results:
            raise NotReady(_why_missing(job, kind))
        if job.retracted_at is not None and kind is not ResultKind.RETRACTION:
            at, why = job.retracted_at.isoformat(timespec="seconds"), job.retraction_reason
            raise ResultRetracted(f"The result was retracted at {at}: {why or 'no reason given'}")
        return self.shelf.path(job_id, kind)

    def readiness(self) -> dict[str, str]:
        """Each part (database, broker, worker, disk, models) and "ok" or what is wrong."""
        return {name: probe() for name, probe in self.probes.items()}

    def _ordered(
        self,
        study_instance_uid: str,
        instances: Sequence[StoredInstance],
        pipeline: Pipeline,
        priority: Priority | None,
        options: Options,
    ) -> Job:
        choice = self.routing.choice(instances, pipeline)
        if choice.roles:  # a study without a fitting series is rejected for that
            check_places(pipeline, options, choice.roles, self.extent_of)
        order = self.routing.order(
            study_instance_uid, instances, pipeline.name, choice, priority, options
        )
        return self._again(self.routing.place(order))

    def _submit_images(
        self,
        paths: Sequence[Path],
        pipeline: Pipeline,
        priority: Priority | None,
        options: Options,
    ) -> Job:
        if any(not is_nifti(path) and path.suffix != SIDECAR_SUFFIX for path in paths):
            raise BadUpload("Send NIfTI files alone, without other files.")
        ordered = _in_roles(paths, pipeline)
        roles = {role: [path] for role, path in ordered if role and is_nifti(path)}
        if roles:  # else the worker finds out what the one file shows
            check_places(pipeline, options, roles, self.extent_of)
        if not self.intake.has_room():
            raise StorageFull("The disk reserve is reached: free space, then send again.")
        kept = [(role, *self.images.keep_file(path)) for role, path in ordered]
        order = JobOrder(
            study_instance_uid="",
            pipeline=pipeline.name,
            bundle=self.routing.bundles.current(pipeline.name),
            input_fingerprint=asked_fingerprint(_images_fingerprint(kept), options),
            inputs=tuple(place for _, place, _ in kept),
            priority=priority or Priority.ROUTINE,
            roles=tuple(role for role, _, _ in kept if role),
            options=options,
        )
        return self._again(self.routing.place(order))

    def _parsed(self, paths: Iterable[Path]) -> Iterable[IncomingInstance]:
        for path in paths:
            if path.stat().st_size > self.intake.limits.max_object_bytes:
                raise UploadTooLarge("A file is larger than this installation takes.")
            try:
                yield self.parse(path)
            except DecodingError:
                continue  # a DICOMDIR, a viewer or a letter beside the images

    def _take_all(self, incoming: Iterable[IncomingInstance]) -> Sequence[StoredInstance]:
        stored: list[StoredInstance] = []
        for instance in incoming:
            if stored and instance.study_instance_uid != stored[0].study_instance_uid:
                raise BadUpload("The upload holds more than one study: send one at a time.")
            stored.append(self.intake.take(instance, opens_study=False)[1])
        if not stored:
            raise BadUpload("No DICOM image is among the uploaded files.")
        return stored

    def _again(self, job: Job) -> Job:
        """Asking by name for a job that failed is a wish to try it again.

        One that ended its workers stays parked until somebody looked at it.
        """
        if job.state is not JobState.FAILED or job.is_parked:
            return job
        reopened = self.book.reopen_failed(job.id, self.clock())
        self.routing.dispatch(job.id)
        return reopened


def _in_roles(paths: Sequence[Path], pipeline: Pipeline) -> list[tuple[str, Path]]:
    """The files that are analysed, each with its role; none for a single file without a name."""
    images = [path for path in paths if is_nifti(path)]
    if len(images) == len(pipeline.roles) == 1:
        return [("", images[0])]
    named = by_role(paths, pipeline.roles)
    if named:
        return [(role, path) for role, files in named.items() for path in files]
    if len(images) == 1:
        return [("", images[0])]
    names = ", ".join(f"_{role.name}" for role in pipeline.roles)
    raise BadUpload(f"What the NIfTI files show can't be told: end their names in {names}.")


def _images_fingerprint(kept: Sequence[tuple[str, str, str]]) -> str:
    """The digest of a single image; of several, the digest over their roles and digests."""
    if len(kept) == 1 and not kept[0][0]:
        return kept[0][2]
    text = "\0".join(part for role, _, sha256 in sorted(kept) for part in (role, sha256))
    return hashlib.sha256(text.encode()).hexdigest()


def _why_missing(job: Job, kind: ResultKind) -> str:
    if not job.state.is_final:
        return f"The job is {job.state}: ask again when it has ended."
    reason = f" ({job.error_code})" if job.error_code else ""
    if job.results_purged_at is not None:
        return f"The job is {job.state}{reason}; its files were purged: send the study again."
    return f"The job is {job.state}{reason} and has no {kind}."
