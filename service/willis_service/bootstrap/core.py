"""What every process of an installation shares."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from celery import Celery

from willis_models.errors import UnknownPipeline
from willis_models.runtime.bundle import find_bundles
from willis_models.runtime.signature import Trust, read_trusted_keys
from willis_service.adapters.bundles.entries import Catalogued
from willis_service.adapters.bundles.stock import Bundles
from willis_service.adapters.queue.celery_queue import CeleryQueue, build_celery
from willis_service.adapters.storage.database import Database, migrate, open_database
from willis_service.adapters.storage.folders import DataFolder
from willis_service.adapters.storage.jobs import SqlJobs
from willis_service.adapters.storage.models import SqlModelRecord
from willis_service.adapters.storage.notices import SqlNotices
from willis_service.adapters.storage.outcomes import SqlStudyOutcomes
from willis_service.adapters.storage.queue_report import SqlQueueReport
from willis_service.adapters.storage.results import ResultFolders
from willis_service.adapters.storage.studies import SqlStudies
from willis_service.adapters.storage.workers import SqlWorkers
from willis_service.application.receive import Intake, IntakeLimits
from willis_service.application.routing import Dispatch, Routing
from willis_service.bootstrap.ruling import rules_of, selector_of
from willis_service.domain.instance import StudyLimits
from willis_service.domain.models import Choice, choice_of
from willis_service.domain.rules import RuleSet
from willis_service.settings import Settings
from willis_service.shipped import Pipelines, PipelineSource, shipped_pipelines


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
    outcomes: SqlStudyOutcomes
    jobs: SqlJobs
    notices: SqlNotices
    queue_report: SqlQueueReport
    workers: SqlWorkers
    folder: DataFolder
    results: ResultFolders
    bundles: Bundles
    catalogued: Catalogued
    rules: RuleSet
    queue: CeleryQueue
    dispatch: Dispatch
    routing: Routing
    intake: Intake


def build_core(settings: Settings, source: PipelineSource = shipped_pipelines) -> Core:
    """Open the database (brought up to date), the folders and the queue."""
    database = open_database(settings.effective_database_url, settings.database_busy_s)
    migrate(database)
    celery = build_celery(settings.effective_broker_url, settings.visibility_timeout_s)
    jobs, studies, queue = SqlJobs(database), SqlStudies(database), CeleryQueue(celery)
    folder, bundles = DataFolder(settings.data_dir), bundles_of(settings, database)
    dispatch = Dispatch(queue, jobs, clock)
    pipelines = enabled_pipelines(settings, source())
    rules = rules_of(settings, pipelines)
    select = selector_of(rules)
    return Core(
        settings=settings,
        pipelines=pipelines,
        database=database,
        celery=celery,
        studies=studies,
        outcomes=SqlStudyOutcomes(database),
        jobs=jobs,
        notices=SqlNotices(database),
        queue_report=SqlQueueReport(database),
        workers=SqlWorkers(database),
        folder=folder,
        results=ResultFolders(settings.data_dir / "results", jobs.edition_of),
        bundles=bundles,
        catalogued=Catalogued(bundles, partial(trust_of, settings)),
        rules=rules,
        queue=queue,
        dispatch=dispatch,
        routing=Routing(pipelines, bundles, select, folder, jobs, dispatch, clock),
        intake=Intake(folder, studies, _intake_limits(settings), clock),
    )


def bundles_of(settings: Settings, database: Database) -> Bundles:
    """The bundles of the installation; which one is live is asked of the database each time."""
    record = SqlModelRecord(database)

    def choice(pipeline: str) -> Choice:
        return choice_of(record.decisions(pipeline))

    return Bundles(settings.bundle_root, settings.added_bundles, choice)


def trust_of(settings: Settings) -> Trust:
    """Whose bundles may run. Raises TrustedKeysInvalid."""
    return Trust(read_trusted_keys(settings.trusted_keys), settings.require_signature)


def enabled_pipelines(settings: Settings, known: Pipelines) -> Pipelines:
    """The pipelines that the settings ask for; else all for which there is a bundle.

    Where there is no bundle at all, every pipeline stays, and the worker says what it misses.
    Raises UnknownPipeline.
    """
    if unknown := sorted(set(settings.pipelines) - set(known)):
        raise UnknownPipeline(f"WILLIS_PIPELINES names {', '.join(unknown)}: {sorted(known)}.")
    if settings.pipelines:
        return {name: known[name] for name in settings.pipelines}
    roots = (settings.bundle_root, settings.added_bundles)
    held = {folder.parent.name for root in roots for folder in find_bundles(root)}
    return {name: one for name, one in known.items() if name in held} or dict(known)


def _intake_limits(settings: Settings) -> IntakeLimits:
    return IntakeLimits(
        disk_reserve_bytes=settings.disk_reserve_bytes,
        max_object_bytes=settings.max_object_bytes,
        study=StudyLimits(settings.max_study_instances, settings.max_study_bytes),
    )
