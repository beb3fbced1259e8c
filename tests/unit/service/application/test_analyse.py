import json
import time
from dataclasses import replace

import pydicom
import pytest

from tests.synthetic_ct import write_ct_series
from tests.toy_core import toy_core
from tests.toy_pipeline import NAME, broken_pipelines
from willis_models.errors import RoundTripMismatch, StorageFull
from willis_service import bootstrap
from willis_service.adapters.dicom.incoming import uploaded_instance
from willis_service.domain.job import Ending, JobState, ResultKind
from willis_service.domain.peers import Destination


@pytest.fixture
def files(tmp_path):
    return write_ct_series(tmp_path / "ct", shape=(12, 32, 32))


def submitted(toy, files):
    return bootstrap.desk_of(toy.core).submit_files(files, NAME)


def run_job(toy, **changes):
    return replace(bootstrap.worker_of(toy.core).run_job, **changes)


def test_a_job_leaves_all_its_results_and_nothing_else(tmp_path, files):
    toy = toy_core(tmp_path)
    job = submitted(toy, files)

    toy.run(job.id)

    ended = toy.core.jobs.get(job.id)
    folder = toy.core.settings.data_dir / "results"
    assert ended.state is JobState.SUCCEEDED
    assert {p.name for p in (folder / job.id).iterdir()} == {kind.value for kind in ended.results}
    assert [p.name for p in folder.iterdir()] == [job.id]


def test_the_findings_say_how_long_each_step_took(tmp_path, files):
    toy = toy_core(tmp_path)
    job = submitted(toy, files)

    toy.run(job.id)

    findings = json.loads(toy.core.results.path(job.id, ResultKind.FINDINGS).read_text())
    assert list(findings["timings_s"]) == ["read", "check", "prepare", "predict", "interpret"]


def test_a_final_job_is_not_run_again(tmp_path, files):
    toy = toy_core(tmp_path)
    job = submitted(toy, files)
    toy.run(job.id)

    toy.run(job.id)

    assert toy.core.jobs.get(job.id).attempts == 1


def test_a_study_that_can_not_be_read_is_rejected_with_the_code_of_the_error(tmp_path):
    toy = toy_core(tmp_path)
    files = write_ct_series(tmp_path / "gap", shape=(20, 32, 32), missing=(9, 10, 11))
    job = submitted(toy, files)

    toy.run(job.id)

    ended = toy.core.jobs.get(job.id)
    assert (ended.state, ended.error_code) == (JobState.REJECTED, "MISSING_SLICES")
    assert ResultKind.SR in ended.results and ResultKind.SEG not in ended.results


def test_a_bug_fails_the_job_at_once_without_quoting_it(tmp_path, files):
    toy = toy_core(tmp_path, broken_pipelines)
    job = submitted(toy, files)

    toy.run(job.id)

    ended = toy.core.jobs.get(job.id)
    assert (ended.state, ended.error_code) == (JobState.FAILED, "INTERNAL_ERROR")
    assert ended.error_message == "ZeroDivisionError: see log"


def raising(error):
    def open_input(_files):
        raise error

    return open_input


def test_a_passing_trouble_puts_the_job_back_until_its_attempts_are_spent(tmp_path, files):
    toy = toy_core(tmp_path)
    job = submitted(toy, files)
    run = run_job(toy, open_input=raising(StorageFull("full")))
    states = []

    for _ in range(3):
        run(job.id)
        states.append(toy.core.jobs.get(job.id).state)

    assert states == [JobState.QUEUED, JobState.QUEUED, JobState.FAILED]
    assert toy.core.jobs.get(job.id).error_code == "STORAGE_FULL"


def test_a_result_that_fails_its_check_does_not_leave(tmp_path, files):
    toy = toy_core(tmp_path)
    job = submitted(toy, files)

    run_job(toy, open_input=raising(RoundTripMismatch("moved by two voxels")))(job.id)

    ended = toy.core.jobs.get(job.id)
    assert (ended.state, ended.error_code) == (JobState.FAILED, "ROUND_TRIP_MISMATCH")
    assert not (toy.core.settings.data_dir / "results" / job.id).exists()


def test_a_run_past_its_deadline_ends_between_two_steps(tmp_path, files):
    toy = toy_core(tmp_path)
    job = submitted(toy, files)
    opener = bootstrap.worker_of(toy.core).run_job.open_input

    def slow(paths):
        time.sleep(0.3)
        return opener(paths)

    run_job(toy, open_input=slow, deadline_s=0.2)(job.id)

    ended = toy.core.jobs.get(job.id)
    assert (ended.state, ended.error_code) == (JobState.FAILED, "DEADLINE_EXCEEDED")


def test_a_run_that_was_superseded_changes_nothing(tmp_path, files):
    toy = toy_core(tmp_path)
    job = submitted(toy, files)
    first = toy.core.jobs.claim(job.id, toy.clock())
    toy.core.jobs.release(job.id, first.attempt, toy.clock())
    toy.core.jobs.claim(job.id, toy.clock())

    assert not toy.core.jobs.finish(first, Ending(JobState.SUCCEEDED), toy.clock())
    assert toy.core.jobs.get(job.id).state is JobState.RUNNING


def test_one_delivery_is_asked_for_each_destination(tmp_path, files):
    toy = toy_core(tmp_path, result_destinations="PACS@pacs:104,VNA@vna:104")
    job = submitted(toy, files)

    toy.run(job.id)

    expected = [
        (job.id, Destination("PACS", "pacs", 104)),
        (job.id, Destination("VNA", "vna", 104)),
    ]
    assert toy.queue.deliveries == expected


def test_a_broker_that_is_away_at_the_end_fails_no_job(tmp_path, files):
    toy = toy_core(tmp_path, result_destinations="PACS@pacs:104")
    job = submitted(toy, files)
    toy.queue.is_away = True

    toy.run(job.id)

    assert toy.core.jobs.get(job.id).state is JobState.SUCCEEDED


def test_conflicting_instances_are_named_in_the_findings(tmp_path, files):
    toy = toy_core(tmp_path)
    changed = pydicom.dcmread(files[0])
    changed.PixelData = bytes(len(changed.PixelData))
    changed.save_as(tmp_path / "other.dcm")
    job = submitted(toy, files)
    toy.core.intake.take(uploaded_instance(tmp_path / "other.dcm"))

    toy.run(job.id)

    text = toy.core.results.path(job.id, ResultKind.FINDINGS).read_text()
    assert "SOP_UID_CONFLICT" in [item["code"] for item in json.loads(text)["quality"]]
