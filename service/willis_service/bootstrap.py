"""The composition root: settings in, the parts of the service put together out.

Only this module knows which adapter serves which port. What runs them is in ``roles`` (one process)
and ``supervisor`` (all of them).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path

from celery import Celery
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from willis_models.errors import BrokerUnavailable, UnknownPipeline, WillisError
from willis_models.manifest import read_manifest
from willis_models.pipelines.base import Analysis, InputImage
from willis_models.runtime.bundle import find_bundles
from willis_service.adapters.bundles.shelf import Bundles, LoadedModels
from willis_service.adapters.dicom.incoming import uploaded_instance
from willis_service.adapters.dicom.receiver import Receiver, ReceiverLimits
from willis_service.adapters.dicom.result_headers import Equipment
from willis_service.adapters.dicom.sender import DicomSender
from willis_service.adapters.dicom.study_input import dicom_opener, select_files
from willis_service.adapters.nifti.image_input import nifti_opener
from willis_service.adapters.queue.celery_queue import CeleryQueue, build_celery, register_tasks
from willis_service.adapters.queue.worker import WorkerProcess
from willis_service.adapters.rest.app import create_app
from willis_service.adapters.rest.config import Catalogue, RestConfig, UploadLimits
from willis_service.adapters.storage.database import Database, migrate, open_database
from willis_service.adapters.storage.folders import DataFolder, ResultFolders
from willis_service.adapters.storage.jobs import SqlJobs
from willis_service.adapters.storage.studies import SqlStudies
from willis_service.adapters.storage.workers import SqlWorkers
from willis_service.adapters.telemetry.metrics import Metrics
from willis_service.adapters.web.report import render_report
from willis_service.application.analyse import RunJob
from willis_service.application.complete import Reconcile, RouteCompleteStudies
from willis_service.application.deliver import Delivery, PlanDelivery
from willis_service.application.ports import InputOpener, JobDesk, Probe, StudyInput
from willis_service.application.predict import PredictNow
from willis_service.application.pulse import Pulse
from willis_service.application.receive import Intake, IntakeLimits
from willis_service.application.routing import Dispatch, Routing
from willis_service.application.submit import NIFTI_SUFFIXES, Desk
from willis_service.domain.instance import IncomingInstance, Receipt
from willis_service.domain.job import Patience, ResultKind
from willis_service.domain.study import Quietness
from willis_service.domain.study_facts import StudyFacts
from willis_service.settings import Settings, ensure_api_key, ensure_serial_number
from willis_service.shipped import Pipelines, PipelineSource, shipped_pipelines

_MEBIBYTE = 1024 * 1024
_BEATS_BEFORE_LOST = 4
_LONGEST_BEAT_S = 5.0


def clock() -> datetime:
    """The time now."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Core:
    """What every process of an installation shares."""

    settings: Settings
    pipelines: Pipelines
    database: Database
    celery: Celery
    studies: SqlStudies
    jobs: SqlJobs
    workers: SqlWorkers
    folder: DataFolder
    results: ResultFolders
    bundles: Bundles
    queue: CeleryQueue
    dispatch: Dispatch
    routing: Routing
    intake: Intake


def build_core(settings: Settings, source: PipelineSource = shipped_pipelines) -> Core:
    """Open the database (brought up to date), the folders and the queue."""
    database = open_database(settings.effective_database_url)
    migrate(database)
    celery = build_celery(settings.effective_broker_url, settings.visibility_timeout_s)
    jobs, studies, queue = SqlJobs(database), SqlStudies(database), CeleryQueue(celery)
    folder, bundles = DataFolder(settings.data_dir), Bundles(settings.bundle_root)
    dispatch = Dispatch(queue, jobs, clock)
    pipelines = enabled_pipelines(settings, source())
    return Core(
        settings=settings,
        pipelines=pipelines,
        database=database,
        celery=celery,
        studies=studies,
        jobs=jobs,
        workers=SqlWorkers(database),
        folder=folder,
        results=ResultFolders(settings.data_dir / "results"),
        bundles=bundles,
        queue=queue,
        dispatch=dispatch,
        routing=Routing(pipelines, bundles, select_files, folder, jobs, dispatch, clock),
        intake=Intake(folder, studies, _intake_limits(settings), clock),
    )


def enabled_pipelines(settings: Settings, known: Pipelines) -> Pipelines:
    """The pipelines that the settings ask for. Raises UnknownPipeline."""
    if unknown := sorted(set(settings.pipelines) - set(known)):
        raise UnknownPipeline(f"WILLIS_PIPELINES names {', '.join(unknown)}: {sorted(known)}.")
    return {name: known[name] for name in settings.pipelines or known}


def build_desk(settings: Settings, source: PipelineSource = shipped_pipelines) -> JobDesk:
    """What REST and the command line talk to."""
    return desk_of(build_core(settings, source))


def desk_of(core: Core) -> Desk:
    """The desk over an installation that is open already."""
    return Desk(
        intake=core.intake,
        parse=uploaded_instance,
        images=core.folder,
        index=core.studies,
        routing=core.routing,
        book=core.jobs,
        shelf=core.results,
        probes=_probes(core),
        clock=clock,
        max_upload_files=core.settings.max_upload_files,
    )


def build_predict(settings: Settings, source: PipelineSource = shipped_pipelines) -> PredictNow:
    """What ``willis predict`` runs: no database, no queue, no service."""
    pipelines, bundles = enabled_pipelines(settings, source()), Bundles(settings.bundle_root)
    models = LoadedModels(pipelines, bundles, settings.execution_provider, settings.threads)
    return PredictNow(pipelines, bundles, models, input_opener(equipment_of(settings)), clock)


def build_api(settings: Settings, source: PipelineSource = shipped_pipelines) -> FastAPI:
    """The REST application."""
    core = build_core(settings, source)
    desk = desk_of(core)
    limit_bytes = settings.max_upload_mb * _MEBIBYTE
    config = RestConfig(
        api_keys=(ensure_api_key(settings).get_secret_value(),),
        upload_folder=settings.data_dir / "uploads",
        sync_limit_s=settings.sync_wait_limit_s,
        uploads=UploadLimits(limit_bytes, 4 * limit_bytes, settings.max_upload_files),
    )
    manifests = [read_manifest(f / "manifest.json") for f in find_bundles(settings.bundle_root)]
    catalogue = Catalogue(list(core.pipelines.values()), manifests)
    return create_app(desk, config, catalogue, Metrics(desk.readiness, desk.recent_jobs))


def receiver_of(core: Core) -> Receiver:
    """The DICOM receiver over an installation."""
    settings = core.settings

    def take(incoming: IncomingInstance) -> Receipt:
        return core.intake.take(incoming)[0]

    limits = ReceiverLimits(
        max_pdu_bytes=settings.max_pdu_bytes,
        max_associations=settings.max_associations,
        max_object_bytes=settings.max_object_bytes,
        acse_timeout_s=settings.acse_timeout_s,
        dimse_timeout_s=settings.dimse_timeout_s,
        network_timeout_s=settings.network_timeout_s,
    )
    return Receiver(settings.ae_title, settings.senders, limits, take, core.intake.has_room)


def completeness_of(core: Core) -> RouteCompleteStudies:
    """Routes the studies that fell quiet."""
    settings = core.settings
    rule = Quietness(
        quiet=timedelta(seconds=settings.quiet_period_s),
        longest=timedelta(seconds=settings.longest_wait_s),
    )
    return RouteCompleteStudies(core.studies, core.studies, core.routing, rule, clock)


def reconciler_of(core: Core) -> Reconcile:
    """Puts back what workers and broker lost."""
    settings = core.settings
    patience = Patience(
        lost_after=timedelta(seconds=settings.worker_lost_after_s),
        deadline=timedelta(seconds=settings.deadline_s),
        attempts=settings.attempts_limit,
    )
    return Reconcile(core.jobs, core.queue, core.dispatch, patience, clock)


@dataclass(frozen=True)
class Worker:
    """A worker with its models loaded and replayed."""

    pulse: Pulse
    run_job: RunJob
    deliver: Delivery


def worker_of(core: Core) -> Worker:
    """Load and prove the models, and put a worker together. Raises BundleError."""
    settings = core.settings
    models = LoadedModels(
        core.pipelines, core.bundles, settings.execution_provider, settings.threads
    )
    pulse = Pulse(
        worker_id=f"{socket.gethostname()[:40]}-{os.getpid()}",
        models=models.warm_up(),
        workers=core.workers,
        runs=core.jobs,
        clock=clock,
        interval_s=_beat_s(settings),
        deadline_s=settings.deadline_s,
    )
    run_job = RunJob(
        runs=core.jobs,
        archive=core.folder,
        index=core.studies,
        models=models,
        open_input=input_opener(equipment_of(settings)),
        shelf=core.results,
        guard=pulse,
        plan_delivery=PlanDelivery(core.queue, settings.result_destinations),
        clock=clock,
        deadline_s=settings.deadline_s,
        attempts_limit=settings.attempts_limit,
    )
    sender = DicomSender(settings.ae_title, settings.acse_timeout_s, settings.dimse_timeout_s)
    return Worker(pulse, run_job, Delivery(core.jobs, core.results, sender))


def worker_process_of(core: Core, worker: Worker, on_ready: Callable[[], None]) -> WorkerProcess:
    """The Celery process around a worker."""
    attempts = core.settings.delivery_attempts
    register_tasks(core.celery, worker.run_job, worker.deliver, attempts)
    memory_limit_mb = core.settings.worker_memory_limit_mb
    return WorkerProcess(core.celery, worker.pulse.worker_id, on_ready, memory_limit_mb)


def equipment_of(settings: Settings) -> Equipment:
    """This installation, as its results name it."""
    return Equipment(version("willis"), ensure_serial_number(settings))


def input_opener(equipment: Equipment) -> InputOpener:
    """Opens the files of an analysis, DICOM or NIfTI."""
    open_dicom, open_nifti = dicom_opener(equipment, write_report), nifti_opener(write_report)

    def open_input(files: Sequence[Path]) -> StudyInput:
        is_nifti = len(files) == 1 and files[0].name.endswith(NIFTI_SUFFIXES)
        return open_nifti(files) if is_nifti else open_dicom(files)

    return open_input


def write_report(
    analysis: Analysis, image: InputImage | None, study: StudyFacts, folder: Path
) -> tuple[ResultKind, ...]:
    """Render the report into a folder."""
    report = render_report(analysis, image, study)
    (folder / ResultKind.REPORT).write_text(report.html, encoding="utf-8")
    (folder / ResultKind.PICTURE).write_bytes(report.png)
    return ResultKind.REPORT, ResultKind.PICTURE


def _beat_s(settings: Settings) -> float:
    return min(_LONGEST_BEAT_S, settings.worker_lost_after_s / _BEATS_BEFORE_LOST)


def _intake_limits(settings: Settings) -> IntakeLimits:
    return IntakeLimits(
        disk_reserve_bytes=settings.disk_reserve_bytes,
        max_object_bytes=settings.max_object_bytes,
        max_study_instances=settings.max_study_instances,
    )


def _probes(core: Core) -> dict[str, Probe]:
    return {
        "database": partial(_database_state, core.database),
        "broker": partial(_broker_state, core.queue),
        "worker": partial(_worker_state, core),
        "disk": lambda: "ok" if core.intake.has_room() else "less space than the reserve",
        "models": partial(_models_state, core),
    }


def _database_state(database: Database) -> str:
    try:
        with database.read() as connection:
            connection.execute(text("SELECT 1"))
    except SQLAlchemyError as error:
        return f"does not answer ({type(error).__name__})"
    return "ok"


def _broker_state(queue: CeleryQueue) -> str:
    try:
        queue.depth()
    except BrokerUnavailable as error:
        return error.message
    return "ok"


def _worker_state(core: Core) -> str:
    since = clock() - timedelta(seconds=core.settings.worker_lost_after_s)
    try:
        return "ok" if core.workers.count_present(since) else "no worker is ready"
    except SQLAlchemyError as error:
        return f"unknown ({type(error).__name__})"


def _models_state(core: Core) -> str:
    try:
        for pipeline in core.pipelines:
            core.bundles.current(pipeline)
    except WillisError as error:
        return error.message
    return "ok"
