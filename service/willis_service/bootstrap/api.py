"""The REST application and the desk behind it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

from fastapi import FastAPI
from sqlalchemy import text

from willis_models.errors import BrokerUnavailable, WillisError
from willis_service.adapters.dicom.extent import extent_of_series
from willis_service.adapters.dicom.incoming import uploaded_instance
from willis_service.adapters.nifti.extent import extent_of_image
from willis_service.adapters.queue.celery_queue import CeleryQueue
from willis_service.adapters.rest.app import create_app
from willis_service.adapters.rest.config import Catalogue, RestConfig, UploadLimits
from willis_service.adapters.storage.database import Database
from willis_service.adapters.storage.workers import DELIVERING, KEEPING, SqlWorkers
from willis_service.adapters.telemetry.delivery_metrics import DeliveryCollector
from willis_service.adapters.telemetry.metrics import Metrics
from willis_service.application.image_roles import is_nifti
from willis_service.application.ports import Probe
from willis_service.application.queue_desk import Admission, QueueDesk
from willis_service.application.submit import Desk
from willis_service.bootstrap.core import Core, build_core, clock
from willis_service.bootstrap.delivering import delivery_desk_of
from willis_service.bootstrap.keeping import study_limit
from willis_service.bootstrap.reading import imaging_of
from willis_service.domain.extent import Extent
from willis_service.settings import Settings, ensure_api_key
from willis_service.shipped import PipelineSource, shipped_pipelines

_MEBIBYTE = 1024 * 1024
_ABSENT_AFTER = timedelta(seconds=60)


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
        queue=_queue_desk(core),
        probes=_probes(core),
        clock=clock,
        extent_of=extent_of,
        max_upload_files=core.settings.max_upload_files,
    )


def extent_of(files: Sequence[Path]) -> Extent | None:
    """Where a series lies, whether DICOM files or one NIfTI file hold it."""
    image = next((path for path in files if is_nifti(path)), None)
    return extent_of_series(files) if image is None else extent_of_image(image)


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
        api_clients=settings.api_clients,
        cors_origins=settings.cors_origins,
        public_url=settings.public_url,
        object_bytes=settings.max_object_bytes,
    )
    catalogue = Catalogue(list(core.pipelines.values()), core.catalogued.entries)
    deliveries = delivery_desk_of(core)
    ledger = DeliveryCollector(deliveries.destinations, clock)
    telemetry = Metrics(desk.readiness, desk.queue, clock(), [ledger])
    imaging = imaging_of(core)
    return create_app(desk, config, catalogue, telemetry, imaging=imaging, deliveries=deliveries)


def _queue_desk(core: Core) -> QueueDesk:
    settings = core.settings
    admission = Admission(
        report=core.queue_report,
        objective_s=settings.objective_s,
        urgent_allowance=settings.urgent_allowance,
        worker_lost_after=timedelta(seconds=settings.worker_lost_after_s),
        clock=clock,
    )
    return QueueDesk(
        admit=admission,
        book=core.jobs,
        notices=core.notices,
        studies=core.studies,
        report=core.queue_report,
        dispatch=core.dispatch,
        job_limit=timedelta(seconds=settings.no_result_after_s),
        study_limit=study_limit(settings),
        clock=clock,
    )


def _probes(core: Core) -> dict[str, Probe]:
    return {
        "database": partial(_database_state, core.database),
        "broker": partial(_broker_state, core.queue),
        "worker": partial(_worker_state, core),
        "keeper": partial(_keeper_state, core),
        "courier": partial(_courier_state, core),
        "disk": lambda: "ok" if core.intake.has_room() else "less space than the reserve",
        "models": partial(_models_state, core),
    }


def _database_state(database: Database) -> str:
    try:
        with database.read() as connection:
            connection.execute(text("SELECT 1"))
    except WillisError as error:
        return error.message
    return "ok"


def _broker_state(queue: CeleryQueue) -> str:
    try:
        queue.depth()
    except BrokerUnavailable as error:
        return error.message
    return "ok"


def _worker_state(core: Core) -> str:
    lost_after = timedelta(seconds=core.settings.worker_lost_after_s)
    return _presence(core.workers, lost_after, "no worker is ready")


def _keeper_state(core: Core) -> str:
    return _presence(SqlWorkers(core.database, KEEPING), _ABSENT_AFTER, "no keeper is present")


def _courier_state(core: Core) -> str:
    return _presence(SqlWorkers(core.database, DELIVERING), _ABSENT_AFTER, "no courier is present")


def _presence(roll: SqlWorkers, lost_after: timedelta, absence: str) -> str:
    try:
        return "ok" if roll.count_present(clock(), lost_after) else absence
    except WillisError as error:
        return f"unknown: {error.message}"


def _models_state(core: Core) -> str:
    try:
        faults = (core.catalogued.fault(pipeline) for pipeline in core.pipelines)
        return next((fault for fault in faults if fault is not None), "ok")
    except WillisError as error:
        return error.message
