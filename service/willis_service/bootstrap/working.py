"""The worker: models loaded and proved, one job at a time."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path

from willis_models.pipelines.base import Analysis, InputImage
from willis_service.adapters.bundles.shelf import LoadedModels
from willis_service.adapters.bundles.stock import Bundles
from willis_service.adapters.dicom.files import read_header
from willis_service.adapters.dicom.result_headers import Equipment
from willis_service.adapters.dicom.study_input import dicom_opener
from willis_service.adapters.nifti.image_input import nifti_opener
from willis_service.adapters.queue.celery_queue import register_tasks
from willis_service.adapters.queue.worker import WorkerProcess
from willis_service.adapters.storage.models import SqlShadowBook
from willis_service.adapters.web.report import render_report
from willis_service.application.amend import FindAmended
from willis_service.application.analyse import RunJob
from willis_service.application.consumption import Consumption
from willis_service.application.image_roles import is_nifti
from willis_service.application.ports import InputOpener, OrderedInput, StudyInput
from willis_service.application.predict import PredictNow
from willis_service.application.pulse import Pulse
from willis_service.application.shadow import RunShadow
from willis_service.bootstrap.core import Core, clock, enabled_pipelines, trust_of
from willis_service.domain.job import ResultKind
from willis_service.domain.study_facts import StudyFacts
from willis_service.settings import Settings, ensure_serial_number
from willis_service.shipped import Pipelines, PipelineSource, shipped_pipelines

_BEATS_BEFORE_LOST = 4
_LONGEST_BEAT_S = 5.0


@dataclass(frozen=True)
class Worker:
    """A worker with its models loaded and replayed."""

    pulse: Pulse
    run_job: RunJob
    consumption: Consumption


def worker_of(core: Core) -> Worker:
    """Load and prove the models, and put a worker together. Raises BundleError."""
    settings = core.settings
    models = models_of(settings, core.pipelines, core.bundles)
    open_input = input_opener(equipment_of(settings))
    worker_id = own_name()
    consumption = Consumption(
        send=partial(core.queue.put_canary, worker_id),
        every_s=settings.worker_stalled_after_s / 4,
    )
    pulse = Pulse(
        worker_id=worker_id,
        models=models.warm_up(),
        workers=core.workers,
        runs=core.jobs,
        clock=clock,
        interval_s=_beat_s(settings),
        deadline_s=settings.deadline_s,
        consumption=consumption,
        leave=_leave_at_once,
    )
    run_job = RunJob(
        runs=core.jobs,
        archive=core.folder,
        index=core.studies,
        outcomes=core.outcomes,
        models=models,
        open_input=open_input,
        amended=FindAmended(core.jobs, core.results),
        shelf=core.results,
        guard=pulse,
        clock=clock,
        deadline_s=settings.deadline_s,
        attempts_limit=settings.attempts_limit,
        retry_pause_s=settings.retry_pause_s,
        shadow=RunShadow(
            candidate=core.bundles.candidate,
            is_busy=partial(_jobs_wait, core),
            models=models,
            archive=core.folder,
            open_input=open_input,
            book=SqlShadowBook(core.database),
            clock=clock,
        ),
    )
    return Worker(pulse, run_job, consumption)


def models_of(settings: Settings, pipelines: Pipelines, bundles: Bundles) -> LoadedModels:
    """The models of a process, loaded and proved when they are first needed.

    Raises TrustedKeysInvalid.
    """
    return LoadedModels(
        pipelines=pipelines,
        bundles=bundles,
        trust=trust_of(settings),
        provider=settings.execution_provider,
        threads=settings.threads,
        engines=settings.data_dir / "engines",
    )


def _jobs_wait(core: Core) -> bool:
    lost_after = timedelta(seconds=core.settings.worker_lost_after_s)
    lanes = core.queue_report.state(clock(), lost_after).lanes
    return any(lane.waiting for lane in lanes.values())


def worker_process_of(core: Core, worker: Worker, on_ready: Callable[[], None]) -> WorkerProcess:
    """The Celery process around a worker."""
    pulse, settings = worker.pulse, core.settings
    register_tasks(core.celery, pulse.worker_id, worker.run_job.next, worker.consumption.hear)
    return WorkerProcess(
        app=core.celery,
        name=pulse.worker_id,
        on_ready=on_ready,
        let_go=partial(pulse.let_go, core.jobs),
        drain_s=settings.effective_drain_s,
        memory_limit_mb=settings.worker_memory_limit_mb,
    )


def own_name() -> str:
    """What this process is called among those of the installation."""
    return f"{socket.gethostname()[:40]}-{os.getpid()}"


def _leave_at_once() -> None:
    """End the process from any thread, whatever its main thread is at."""
    os._exit(os.EX_TEMPFAIL)


def equipment_of(settings: Settings) -> Equipment:
    """This installation, as its results name it."""
    return Equipment(version("willis"), ensure_serial_number(settings))


def input_opener(equipment: Equipment) -> InputOpener:
    """Opens the files of an analysis, DICOM or NIfTI."""
    open_dicom, open_nifti = dicom_opener(equipment, write_report), nifti_opener(write_report)

    def open_input(ordered: OrderedInput) -> StudyInput:
        return open_nifti(ordered) if _is_nifti(ordered.files) else open_dicom(ordered)

    return open_input


def _is_nifti(files: Sequence[Path]) -> bool:
    """Whether the files are NIfTI images, whatever lies beside them that is no DICOM file."""
    others = [path for path in files if not is_nifti(path)]
    return len(others) < len(files) and all(read_header(path) is None for path in others)


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


def build_predict(settings: Settings, source: PipelineSource = shipped_pipelines) -> PredictNow:
    """What ``willis predict`` runs: no database, no queue, no service."""
    pipelines, bundles = enabled_pipelines(settings, source()), Bundles(settings.bundle_root)
    models = models_of(settings, pipelines, bundles)
    return PredictNow(pipelines, bundles, models, input_opener(equipment_of(settings)), clock)
