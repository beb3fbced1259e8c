"""From the last instance received to results stored: where the seconds and the memory go."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydicom import Dataset, dcmread

from benchmarks.memory import Meter, Step, in_fresh_process
from benchmarks.page import Section, Table, seconds
from benchmarks.places import Places
from benchmarks.service import QUIET_S, running_service, wait_until
from benchmarks.studies import dicom_files, thin_study
from willis_models.pipelines.base import Analysis, Request, analyse
from willis_service.adapters.dicom.facts import study_facts
from willis_service.adapters.dicom.files import scan
from willis_service.adapters.dicom.reader import read_series
from willis_service.adapters.dicom.result_headers import Equipment
from willis_service.adapters.dicom.seg import write_seg
from willis_service.adapters.dicom.sender import DicomSender
from willis_service.adapters.dicom.series import DicomSeries
from willis_service.adapters.dicom.series_selection import select_series
from willis_service.adapters.dicom.sr import write_sr
from willis_service.adapters.dicom.verify import verify_seg
from willis_service.adapters.dicom.verify_sr import verify_sr
from willis_service.bootstrap.core import clock
from willis_service.bootstrap.working import build_predict, equipment_of, write_report
from willis_service.domain.job import Job
from willis_service.settings import DEFAULT_CALLING_AE_TITLE, load_settings

TITLE = "Stage by stage"
PIPELINE, ROLE = "aspects", "ncct"
ONCE = "load model"
GOAL_S, GOAL_MB = 10.0, 2000.0
JOB_LIMIT_S = 300.0


@dataclass(frozen=True)
class _Study:
    title: str
    files: Sequence[Path]


@dataclass(frozen=True)
class _Whole:
    """A study through the running service: seconds and the worker's peak."""

    seconds: float
    peak_mb: float


def measure(places: Places) -> Section:
    """Both studies; the real one is left out where it is absent."""
    text = _INTRODUCTION
    studies = [_Study("160 x 512 x 512, simulated", thin_study(places))]
    if places.ge_study.is_dir():
        studies.insert(0, _Study("28 x 512 x 512, GE patient", dicom_files(places.ge_study)))
    else:
        text += f"\nThe real study is not in this table: {places.shared} is absent."
    steps = [in_fresh_process(walk, study.files) for study in studies]
    wholes = [through_service(study.files) for study in studies]
    return Section(TITLE, text, [_table(studies, steps, wholes)])


_INTRODUCTION = f"""
Each study in a fresh process, step by step with the functions that a worker runs; the model is
loaded once, when a worker starts. Peak: the largest resident memory of the process during the step.
The last row is the same study sent by C-STORE to `willis serve` (receiver, API, worker, SQLite,
Redis), from the arrival of its last instance to the job's end, results durable; the quiet period
that decides that the study is complete ({QUIET_S:.0f} s here) is subtracted. The aim is
{GOAL_S:.0f} s and {GOAL_MB / 1000:.0f} GB on two cores.
"""


def walk(files: Sequence[Path]) -> list[Step]:
    """Every step of one job, in this process."""
    meter = Meter()
    with tempfile.TemporaryDirectory() as name:
        settings = load_settings({}, data_dir=Path(name))
        predict, equipment = build_predict(settings), equipment_of(settings)
        meter.begin(ONCE)
        model = predict.models.take(PIPELINE, predict.bundles.current(PIPELINE))
        meter.begin("read")
        chosen = select_series(scan(files), model.pipeline.roles).chosen[ROLE]
        series = read_series(chosen.listing)
        case = {ROLE: series.image}
        analysis = analyse(
            model.pipeline,
            case,
            model.manifest,
            model.assets,
            model.predictor,
            Request(progress=meter.begin),
        )
        _write(meter, analysis, series, equipment, Path(name))
    return meter.steps


def _write(
    meter: Meter, analysis: Analysis, series: DicomSeries, equipment: Equipment, folder: Path
) -> None:
    if analysis.labels is None:
        raise RuntimeError(f"The study was rejected: {analysis.findings.rejection}")
    created: datetime = clock()
    meter.begin("SEG")
    seg = _saved(write_seg(analysis, series, equipment, created=created), folder / "seg.dcm")
    meter.begin("SR")
    made = write_sr(analysis, series.headers, seg, equipment, created=created)
    sr = _saved(made, folder / "sr.dcm")
    meter.begin("verify")
    if seg is not None:
        verify_seg(seg, analysis.findings.segments, analysis.labels, series)
    verify_sr(sr, analysis.findings, series.headers, seg)
    meter.begin("report")
    write_report(analysis, series.image, study_facts(series.headers[0]), folder)
    meter.end()


def _saved(made: Dataset | None, path: Path) -> Dataset:
    if made is None:
        raise RuntimeError("No structure was found: there is nothing to write.")
    made.save_as(path, enforce_file_format=True)
    return dcmread(path)


def through_service(files: Sequence[Path]) -> _Whole:
    """Send a study to a service of its own and wait for the results."""
    folder = Path(tempfile.mkdtemp(prefix="willis-bench-"))
    try:
        with running_service(folder) as running:
            DicomSender(DEFAULT_CALLING_AE_TITLE)(files, running.dicom)
            jobs = running.core.jobs
            wait_until(lambda: any(j.state.is_final for j in jobs.recent(1)), JOB_LIMIT_S)
            (job,) = jobs.recent(1)
            stored = running.core.studies.instances(job.study_instance_uid)
            received = max(instance.received_at for instance in stored)
            return _Whole(_duration_s(job, received) - QUIET_S, running.worker_peak_mb())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _duration_s(job: Job, received: datetime) -> float:
    if job.finished_at is None or job.error_code is not None:
        raise RuntimeError(f"The job ended as {job.state}: {job.error_code} {job.error_message}")
    return (job.finished_at - received).total_seconds()


def _table(
    studies: Sequence[_Study], steps: Sequence[Sequence[Step]], wholes: Sequence[_Whole]
) -> Table:
    columns = ["step"]
    for study in studies:
        columns += [f"{study.title}: s", "peak MB"]
    rows = [
        [parts[0].name, *(cell for part in parts for cell in _cells(part.seconds, part.peak_mb))]
        for parts in zip(*steps, strict=True)
    ]
    rows[0][0] += " (once a worker)"
    sums = ["**sum of the steps of a job**"]
    for every in steps:
        job = [step for step in every if step.name != ONCE]
        sums += _cells(sum(step.seconds for step in job), max(step.peak_mb for step in job))
    last = ["**through the service**"]
    last += [cell for whole in wholes for cell in _cells(whole.seconds, whole.peak_mb)]
    return Table(columns, [*rows, sums, last])


def _cells(duration_s: float, peak: float) -> list[str]:
    return [seconds(duration_s), f"{peak:.0f}"]
