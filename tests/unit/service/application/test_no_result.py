"""Nothing that was accepted ends in silence."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace

import pydicom
import pytest

from tests.synthetic_ct import write_ct_series
from tests.toy_core import Toy, route, toy_core
from tests.toy_pipeline import NAME, broken_pipelines
from willis_models.errors import ManifestInvalid, StorageFull
from willis_service.adapters.dicom.incoming import uploaded_instance
from willis_service.bootstrap.api import desk_of
from willis_service.bootstrap.keeping import completeness_of
from willis_service.domain.job import Ending, JobState, ResultKind

LIMIT_S = 1800


@pytest.fixture
def files(tmp_path):
    return write_ct_series(tmp_path / "ct", shape=(12, 32, 32))


@pytest.fixture
def toy(tmp_path):
    return toy_core(tmp_path, no_result_after_s=LIMIT_S, quiet_period_s=10, longest_wait_s=60)


def submitted(toy: Toy, files):
    return desk_of(toy.core).submit_files(files, NAME)


def failed(toy: Toy, job, code: str = "WORKER_LOST"):
    run = toy.core.jobs.claim(job.id, toy.clock())
    toy.core.jobs.finish(run, Ending(JobState.FAILED, (), code, "It died."), toy.clock())


def report_of(toy: Toy, job_id: str) -> pydicom.Dataset:
    return pydicom.dcmread(toy.core.results.path(job_id, ResultKind.SR))


def findings_of(toy: Toy, job_id: str) -> dict:
    return json.loads(toy.core.results.path(job_id, ResultKind.FINDINGS).read_text())


def text_of(report: pydicom.Dataset) -> str:
    return " ".join(str(element.value) for element in report.iterall() if element.VR == "UT")


def test_a_job_that_failed_gets_a_report_that_says_so_in_its_study(toy, files):
    job = submitted(toy, files)
    failed(toy, job)

    toy.alarms()()

    report, findings = report_of(toy, job.id), findings_of(toy, job.id)
    noticed = toy.core.jobs.get(job.id)
    assert (noticed.state, noticed.notice_code) == (JobState.FAILED, "WORKER_LOST")
    assert ResultKind.SR in noticed.results and ResultKind.SEG not in noticed.results
    assert (findings["status"], findings["rejection"]["code"]) == ("failed", "WORKER_LOST")
    assert report.StudyInstanceUID == job.study_instance_uid
    assert (report.CompletionFlag, "It died." in text_of(report)) == ("PARTIAL", True)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
def test_a_notice_and_the_result_that_amends_it_are_valid_dicom(toy, files):
    job = submitted(toy, files)
    failed(toy, job)
    paths = []
    for act in (toy.alarms(), lambda: toy.run(toy.queue_desk().retry(job.id).id)):
        act()
        paths.append(toy.core.results.path(job.id, ResultKind.SR))

    for path in paths:
        done = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)
        said = (done.stdout + done.stderr).splitlines()
        assert [line for line in said if line.startswith("Error")] == []


def test_a_bug_ends_in_a_notice_too(tmp_path, files):
    toy = toy_core(tmp_path, broken_pipelines)
    job = submitted(toy, files)
    toy.run(job.id)

    toy.alarms()()

    assert findings_of(toy, job.id)["rejection"]["code"] == "INTERNAL_ERROR"


def test_a_notice_is_written_once(toy, files):
    job = submitted(toy, files)
    failed(toy, job)
    alarms = toy.alarms()
    alarms()
    first = toy.core.jobs.edition_of(job.id)

    alarms()

    assert toy.core.jobs.edition_of(job.id) == first


def test_a_job_that_waits_too_long_raises_the_alarm_at_the_limit(toy, files):
    job, alarms = submitted(toy, files), toy.alarms()
    codes = []
    for seconds in (0, LIMIT_S - 1, 1):
        toy.clock.advance(seconds)
        alarms()
        codes.append(toy.core.jobs.get(job.id).notice_code)

    assert codes == [None, None, "NO_RESULT_IN_TIME"]
    assert toy.core.jobs.get(job.id).state is JobState.QUEUED
    assert "No result within 30 minutes" in text_of(report_of(toy, job.id))


def test_a_result_that_comes_after_the_alarm_amends_the_notice(toy, files):
    job, alarms = submitted(toy, files), toy.alarms()
    toy.clock.advance(LIMIT_S)
    alarms()
    notice = report_of(toy, job.id)

    toy.run(job.id)

    ended, report = toy.core.jobs.get(job.id), report_of(toy, job.id)
    (study,) = report.PredecessorDocumentsSequence
    (named,) = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert (ended.state, ended.notice_code) == (JobState.SUCCEEDED, None)
    assert named.ReferencedSOPInstanceUID == notice.SOPInstanceUID != report.SOPInstanceUID
    assert findings_of(toy, job.id)["amends"]["status"] == "failed"


def test_the_alarm_during_a_run_does_not_end_the_run(toy, files):
    job, alarms = submitted(toy, files), toy.alarms()
    run = toy.core.jobs.claim(job.id, toy.clock())
    toy.clock.advance(LIMIT_S)

    alarms()

    assert toy.core.jobs.get(job.id).notice_code == "NO_RESULT_IN_TIME"
    assert toy.core.jobs.note_step(run, "predict", toy.clock())


def test_a_clock_that_jumps_forward_raises_no_alarm(toy, files):
    job, alarms = submitted(toy, files), toy.alarms()
    alarms()
    alarms.watch.stopwatch = lambda: 5.0

    toy.clock.advance(LIMIT_S)
    alarms()

    assert toy.core.jobs.get(job.id).notice_code is None


def test_a_job_that_is_tried_again_keeps_its_notice_until_it_ends(toy, files):
    job, alarms = submitted(toy, files), toy.alarms()
    failed(toy, job, "STORAGE_FULL")
    alarms()
    first = report_of(toy, job.id)
    toy.queue_desk().retry(job.id)
    alarms()
    failed(toy, job, "DEADLINE_EXCEEDED")

    alarms()

    report = report_of(toy, job.id)
    (study,) = report.PredecessorDocumentsSequence
    (named,) = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert named.ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert findings_of(toy, job.id)["rejection"]["code"] == "DEADLINE_EXCEEDED"


def test_a_study_that_no_bundle_is_there_for_gets_a_notice_and_later_its_result(toy, files):
    for file in files:
        toy.core.intake.take(uploaded_instance(file))
    alarms = replace(toy.alarms(), study_limit=toy.alarms().job_limit)
    alarms()
    toy.clock.advance(LIMIT_S)
    alarms()
    (unrouted,) = toy.core.jobs.recent(9)

    job = route(toy.core, unrouted.study_instance_uid)
    toy.run(job.id)

    assert (unrouted.error_code, unrouted.notice_code) == ("STUDY_NOT_ROUTED",) * 2
    assert toy.core.jobs.get(unrouted.id).state is JobState.SUPERSEDED
    assert findings_of(toy, job.id)["amends"]["job_id"] == unrouted.id


def test_a_study_that_waits_for_its_images_is_given_the_time_for_that(toy, files):
    toy.core.intake.take(uploaded_instance(files[0]))
    alarms = toy.alarms()
    toy.clock.advance(LIMIT_S - 1)

    alarms()

    assert toy.core.jobs.recent(9) == []


def raising(error):
    def open_input(_files):
        raise error

    return open_input


def with_opener(toy: Toy, open_input):
    alarms = toy.alarms()
    return replace(alarms, write=replace(alarms.write, open_input=open_input))


def test_files_that_nothing_can_be_read_of_get_findings_without_a_report(toy, files):
    job = submitted(toy, files)
    failed(toy, job)

    with_opener(toy, raising(KeyError("a bug")))()

    assert toy.core.jobs.get(job.id).results == (ResultKind.FINDINGS,)
    assert findings_of(toy, job.id)["status"] == "failed"


def test_files_that_end_whoever_reads_them_are_read_twice_at_most(toy, files):
    job, calls = submitted(toy, files), []
    failed(toy, job)

    def deadly(_files):
        calls.append(1)
        raise SystemExit

    for _ in range(2):
        with pytest.raises(SystemExit):
            with_opener(toy, deadly)()
    with_opener(toy, deadly)()

    assert len(calls) == 2
    assert toy.core.jobs.get(job.id).results == (ResultKind.FINDINGS,)


def test_a_notice_that_finds_no_space_is_written_when_there_is_some(toy, files):
    job = submitted(toy, files)
    failed(toy, job)
    for _ in range(5):
        with_opener(toy, raising(StorageFull("full")))()
    before = toy.core.jobs.get(job.id).results

    toy.alarms()()

    assert before == () and ResultKind.SR in toy.core.jobs.get(job.id).results


def test_a_study_whose_routing_fails_says_why(toy, files):
    def no_bundle(_pipeline):
        raise ManifestInvalid("No bundle of the model toy.")

    for file in files:
        toy.core.intake.take(uploaded_instance(file))
    bundles = type("Bundles", (), {"current": staticmethod(no_bundle)})()
    complete = completeness_of(toy.core)
    routing = replace(complete.routing, bundles=bundles)
    complete = replace(complete, routing=routing, clock=toy.clock)
    toy.clock.advance(61)
    complete()
    alarms = toy.alarms()
    toy.clock.advance(LIMIT_S)

    alarms()

    (job,) = toy.core.jobs.recent(9)
    assert job.error_code == "STUDY_NOT_ROUTED" and "No bundle" in job.error_message
