"""From the last instance received to results stored: where the seconds and the memory go."""

from __future__ import annotations

import os
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
from willis_service.adapters.dicom.case_reader import read_case
from willis_service.adapters.dicom.facts import study_facts
from willis_service.adapters.dicom.layers import layers_of
from willis_service.adapters.dicom.parametric_map import write_map
from willis_service.adapters.dicom.result_headers import Equipment
from willis_service.adapters.dicom.seg import write_seg
from willis_service.adapters.dicom.sender import DicomSender
from willis_service.adapters.dicom.series import DicomSeries
from willis_service.adapters.dicom.sr import write_sr
from willis_service.adapters.dicom.verify import verify_seg
from willis_service.adapters.dicom.verify_map import verify_map
from willis_service.adapters.dicom.verify_sr import verify_sr
from willis_service.bootstrap.core import clock
from willis_service.bootstrap.working import build_predict, equipment_of, write_report
from willis_service.domain.job import Job
from willis_service.settings import DEFAULT_CALLING_AE_TITLE, load_settings

TITLE = "Stage by stage"
PIPELINE = "aspects"
ONCE = "load model"
_BUNDLES = frozenset({"WILLIS_BUNDLE_ROOT", "WILLIS_REQUIRE_SIGNATURE"})
GOAL_S, GOAL_MB = 10.0, 2000.0
JOB_LIMIT_S = 300.0


@dataclass(frozen=True)
class Study:
    """What is measured."""

    title: str
    files: Sequence[Path]


@dataclass(frozen=True)
class Whole:
    """A study through the running service: seconds and the worker's peak."""

    seconds: float
    peak_mb: float


def measure(places: Places) -> Section:
    """Both studies; the real one is left out where it is absent."""
    text = _INTRODUCTION
    studies = [Study("160 x 512 x 512, simulated", thin_study(places))]
    if places.ge_study.is_dir():
        studies.insert(0, Study("28 x 512 x 512, GE patient", dicom_files(places.ge_study)))
    else:
        text += f"\nThe real study is not in this table: {places.shared} is absent."
    steps = [in_fresh_process(walk, study.files) for study in studies]
    wholes = [through_service(study.files) for study in studies]
    return Section(TITLE, text, [table_of(studies, steps, wholes)])


_INTRODUCTION = f"""
Each study in a fresh process, step by step with the functions that a worker runs; the model is
loaded once, when a worker starts. Peak: the largest resident memory of the process during the step.
The last row is the same study sent by C-STORE to `willis serve` (receiver, API, worker, SQLite,
Redis), from the arrival of its last instance to the job's end, results durable; the quiet period
that decides that the study is complete ({QUIET_S:.0f} s here) is subtracted. The aim is
{GOAL_S:.0f} s and {GOAL_MB / 1000:.0f} GB on two cores.
"""


def walk(files: Sequence[Path], pipeline: str = PIPELINE) -> list[Step]:
    """Every step of one job, in this process."""
    meter = Meter()
    with tempfile.TemporaryDirectory() as name:
        settings = load_settings(_given(), data_dir=Path(name))
        predict, equipment = build_predict(settings), equipment_of(settings)
        meter.begin(ONCE)
        model = predict.models.take(pipeline, predict.bundles.current(pipeline))
        meter.begin("read")
        series = read_case(files, {}, model.pipeline.roles, model.pipeline.sufficient)
        case = {role: one.image for role, one in series.items()}
        analysis = analyse(
            model.pipeline,
            case,
            model.manifest,
            model.assets,
            model.predictor,
            Request(progress=meter.begin),
        )
        if analysis.reference_role is None:
            raise RuntimeError(f"The study was rejected: {analysis.findings.rejection}")
        _write(meter, analysis, series[analysis.reference_role], equipment, Path(name))
    return meter.steps


def _given() -> dict[str, str]:
    """Which bundles are measured may be said from outside; nothing else may."""
    return {name: value for name, value in os.environ.items() if name in _BUNDLES}


def _write(
    meter: Meter, analysis: Analysis, series: DicomSeries, equipment: Equipment, folder: Path
) -> None:
    created: datetime = clock()
    meter.begin("SEG, checked")
    seg = _saved(write_seg(analysis, series, equipment, created=created), folder / "seg.dcm")
    verify_seg(seg, analysis.findings.segments, layers_of(analysis), series)
    maps = []
    if analysis.maps:
        meter.begin("maps, checked")
    for one in analysis.maps:
        made = write_map(one, analysis.findings, series, equipment, created=created)
        maps.append(_saved(made, folder / f"{one.key}.dcm"))
        verify_map(maps[-1], one, series)
        del maps[-1].FloatPixelData
    meter.begin("SR, checked")
    made = write_sr(analysis, series.headers, seg, equipment, created=created, maps=maps)
    sr = _saved(made, folder / "sr.dcm")
    verify_sr(sr, analysis.findings, series.headers, seg, maps=maps)
    meter.begin("report")
    write_report(analysis, series.image, study_facts(series.headers[0]), folder)
    meter.end()


def _saved(made: Dataset | None, path: Path) -> Dataset:
    if made is None:
        raise RuntimeError("No structure was found: there is nothing to write.")
    made.save_as(path, enforce_file_format=True)
    return dcmread(path)


def through_service(files: Sequence[Path], pipeline: str = PIPELINE) -> Whole:
    """Send a study to a service of its own and wait for the results of a pipeline."""
    folder = Path(tempfile.mkdtemp(prefix="willis-bench-"))
    try:
        with running_service(folder) as running:
            DicomSender(DEFAULT_CALLING_AE_TITLE)(files, running.dicom)
            jobs = running.core.jobs

            def ended() -> list[Job]:
                return [j for j in jobs.recent(10) if j.pipeline == pipeline and j.state.is_final]

            wait_until(lambda: bool(ended()), JOB_LIMIT_S)
            (job,) = ended()
            stored = running.core.studies.instances(job.study_instance_uid)
            received = max(instance.received_at for instance in stored)
            return Whole(_duration_s(job, received) - QUIET_S, running.worker_peak_mb())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _duration_s(job: Job, received: datetime) -> float:
    if job.finished_at is None or job.error_code is not None:
        raise RuntimeError(f"The job ended as {job.state}: {job.error_code} {job.error_message}")
    return (job.finished_at - received).total_seconds()


def table_of(
    studies: Sequence[Study], steps: Sequence[Sequence[Step]], wholes: Sequence[Whole]
) -> Table:
    """A row for each step, their sum, and the way through the service."""
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
