import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pydicom
import pytest

from tests import toy_pipeline
from tests.synthetic_ct import write_ct_series
from tests.toy_core import toy_core
from tests.toy_pipeline import NAME, broken_pipelines
from willis_models.errors import DatabaseUnavailable, RoundTripMismatch, StorageFull
from willis_models.findings import QualityItem
from willis_service.adapters.dicom.incoming import uploaded_instance
from willis_service.bootstrap.api import desk_of
from willis_service.bootstrap.working import worker_of
from willis_service.domain.job import BundleId, JobOrder, JobState, Priority, ResultKind


@pytest.fixture
def files(tmp_path):
    return write_ct_series(tmp_path / "ct", shape=(12, 32, 32))


def submitted(toy, files):
    return desk_of(toy.core).submit_files(files, NAME)


def test_a_job_leaves_all_its_results_and_nothing_else(tmp_path, files):
    toy = toy_core(tmp_path)
    job = submitted(toy, files)

    toy.run(job.id)

    ended = toy.core.jobs.get(job.id)
    folder = toy.core.settings.data_dir / "results"
    written = {path.name for path in (folder / job.id / "1").iterdir()}
    assert ended.state is JobState.SUCCEEDED
    assert written == {kind.value for kind in ended.results}
    assert [path.name for path in folder.iterdir()] == [job.id]


def test_the_findings_say_how_long_each_step_took(tmp_path, files):
    toy = toy_core(tmp_path)
    job = submitted(toy, files)

    toy.run(job.id)

    findings = json.loads(toy.core.results.path(job.id, ResultKind.FINDINGS).read_text())
    assert list(findings["timings_s"]) == ["read", "check", "prepare", "predict", "interpret"]
    stored = toy.core.jobs.get(job.id).timings_s
    assert list(stored) == ["load", *findings["timings_s"], "write", "publish"]


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


def refusing_pipelines():
    """Two checks that a study does not pass, as where a scan is both short and coarse."""

    def check(case, manifest):
        return (
            QualityItem(code="BOLUS_TRUNCATED", outcome="reject", message="Cut.", value=0.8),
            QualityItem(code="SAMPLING_TOO_COARSE", outcome="reject", message="Coarse."),
        )

    return {NAME: replace(toy_pipeline.TOY, check=check)}


def test_a_study_that_checks_refuse_is_rejected_with_the_code_of_the_first_everywhere(
    tmp_path, files
):
    toy = toy_core(tmp_path, refusing_pipelines)
    job = submitted(toy, files)

    toy.run(job.id)

    ended = toy.core.jobs.get(job.id)
    said = "Cut. Measured: 0.8. Also rejected: SAMPLING_TOO_COARSE."
    assert (ended.state, ended.error_code) == (JobState.REJECTED, "BOLUS_TRUNCATED")
    assert ended.error_message == said
    findings = json.loads(toy.core.results.path(job.id, ResultKind.FINDINGS).read_text())
    assert findings["rejection"] == {"code": "BOLUS_TRUNCATED", "message": said}
    report = pydicom.dcmread(toy.core.results.path(job.id, ResultKind.SR))
    assert report.CompletionFlagDescription == "Not analysed: BOLUS_TRUNCATED"
    text = json.dumps(report.to_json_dict())
    assert all(code in text for code in ("BOLUS_TRUNCATED", "SAMPLING_TOO_COARSE"))
    assert "INPUT_ERROR" not in text


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
    run = toy.runner(open_input=raising(StorageFull("full")))
    states = []

    for _ in range(3):
        run(job.id)
        states.append(toy.core.jobs.get(job.id).state)

    assert states == [JobState.QUEUED, JobState.QUEUED, JobState.FAILED]
    assert toy.core.jobs.get(job.id).error_code == "STORAGE_FULL"


def test_a_result_that_fails_its_check_does_not_leave(tmp_path, files):
    toy = toy_core(tmp_path)
    job = submitted(toy, files)

    toy.runner(open_input=raising(RoundTripMismatch("moved by two voxels")))(job.id)

    ended = toy.core.jobs.get(job.id)
    assert (ended.state, ended.error_code) == (JobState.FAILED, "ROUND_TRIP_MISMATCH")
    assert not (toy.core.settings.data_dir / "results" / job.id).exists()


def test_a_run_past_its_deadline_ends_between_two_steps(tmp_path, files):
    toy = toy_core(tmp_path)
    job = submitted(toy, files)
    opener = worker_of(toy.core).run_job.open_input

    def slow(paths):
        time.sleep(0.3)
        return opener(paths)

    toy.runner(open_input=slow, deadline_s=0.2)(job.id)

    ended = toy.core.jobs.get(job.id)
    assert (ended.state, ended.error_code) == (JobState.FAILED, "DEADLINE_EXCEEDED")


def results_of(toy, job_id):
    """The names of the editions on disk, and the one that counts."""
    folder = toy.core.settings.data_dir / "results" / job_id
    editions = {path.name for path in folder.iterdir()} if folder.exists() else set()
    return editions, toy.core.jobs.edition_of(job_id)


def between_publishing_and_finishing(toy, act):
    """A runner whose results are in their place when something else happens."""

    class Late(type(toy.core.jobs)):
        def finish(self, run, ending, now):
            act(run)
            return super().finish(run, ending, now)

    return toy.runner(runs=Late(toy.core.database))


def test_of_two_runs_of_one_job_only_the_live_one_can_publish(tmp_path, files):
    toy = toy_core(tmp_path)
    job = submitted(toy, files)

    def take_over(run):
        toy.core.jobs.release(run.lease, toy.clock())
        toy.run(job.id)

    between_publishing_and_finishing(toy, take_over)(job.id)

    assert results_of(toy, job.id) == ({"2"}, "2")
    ended = toy.core.jobs.get(job.id)
    assert (ended.state, ended.attempts) == (JobState.SUCCEEDED, 2)


def test_two_runs_that_finish_at_once_leave_one_result_in_full(tmp_path, files):
    toy = toy_core(tmp_path)
    job = submitted(toy, files)
    both, is_free = threading.Barrier(2, timeout=30), threading.Event()

    def finish_together(run):
        if run.attempt == 1:
            toy.core.jobs.release(run.lease, toy.clock())
            is_free.set()
        both.wait()

    def second():
        assert is_free.wait(30)
        between_publishing_and_finishing(toy, finish_together)(job.id)

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(second)
        between_publishing_and_finishing(toy, finish_together)(job.id)
        other.result(60)

    assert results_of(toy, job.id) == ({"2"}, "2")
    assert toy.core.jobs.get(job.id).state is JobState.SUCCEEDED
    assert toy.core.results.path(job.id, ResultKind.SEG).is_file()


def test_a_run_that_late_images_superseded_publishes_nothing(tmp_path, files):
    toy = toy_core(tmp_path)
    job = submitted(toy, files)
    newer = replace(order_of(job), input_fingerprint="e" * 64)

    between_publishing_and_finishing(toy, lambda _: toy.core.jobs.order(newer, toy.clock()))(job.id)

    assert toy.core.jobs.get(job.id).state is JobState.SUPERSEDED
    assert results_of(toy, job.id) == (set(), None)


def order_of(job):
    bundle = BundleId(job.bundle_version, job.bundle_sha256)
    return JobOrder(job.study_instance_uid, job.pipeline, bundle, job.input_fingerprint, ())


def test_a_run_that_was_superseded_stops_at_its_next_step(tmp_path, files):
    toy = toy_core(tmp_path)
    job = submitted(toy, files)
    opener = toy.runner().open_input

    def overtaken(paths):
        toy.core.jobs.order(replace(order_of(job), input_fingerprint="e" * 64), toy.clock())
        return opener(paths)

    toy.runner(open_input=overtaken)(job.id)

    ended = toy.core.jobs.get(job.id)
    assert (ended.state, ended.step, ended.error_code) == (JobState.SUPERSEDED, None, None)


def test_a_database_that_is_away_for_a_moment_fails_no_job(tmp_path, files):
    toy = toy_core(tmp_path)
    job = submitted(toy, files)

    toy.runner(open_input=raising(DatabaseUnavailable("held")))(job.id)

    assert toy.core.jobs.get(job.id).state is JobState.QUEUED


def held_for(toy, tries):
    """Runs over a database that somebody holds when a job is to be ended."""
    left = [tries]

    class Held(type(toy.core.jobs)):
        def finish(self, run, ending, now):
            if left[0]:
                left[0] -= 1
                raise DatabaseUnavailable("held")
            return super().finish(run, ending, now)

    return Held(toy.core.database)


@pytest.mark.parametrize(("tries", "state"), [(2, JobState.SUCCEEDED), (99, JobState.RUNNING)])
def test_a_result_outlives_a_database_that_is_held_when_it_is_done(tmp_path, files, tries, state):
    toy = toy_core(tmp_path)
    job = submitted(toy, files)

    toy.runner(runs=held_for(toy, tries))(job.id)

    assert toy.core.jobs.get(job.id).state is state


def test_a_worker_that_can_not_claim_waits_for_the_next_hint(tmp_path):
    toy = toy_core(tmp_path)

    class Away(type(toy.core.jobs)):
        def claim_next(self, now):
            raise DatabaseUnavailable("held")

    toy.runner(runs=Away(toy.core.database)).next()


def test_a_worker_that_hears_of_any_job_takes_the_urgent_one(tmp_path, files):
    toy = toy_core(tmp_path)
    routine = submitted(toy, files)
    other = write_ct_series(tmp_path / "urgent", shape=(12, 32, 32), seed="urgent")
    urgent = desk_of(toy.core).submit_files(other, NAME, Priority.URGENT)

    toy.runner().next()

    states = [toy.core.jobs.get(job.id).state for job in (routine, urgent)]
    assert states == [JobState.QUEUED, JobState.SUCCEEDED]


def test_a_worker_that_hears_of_work_and_finds_none_does_nothing(tmp_path):
    toy_core(tmp_path).runner().next()


def test_a_new_result_names_the_one_that_it_amends(tmp_path, files):
    toy = toy_core(tmp_path)
    first = submitted(toy, files[:11])
    toy.run(first.id)
    second = submitted(toy, files)

    toy.run(second.id)

    findings = json.loads(toy.core.results.path(second.id, ResultKind.FINDINGS).read_text())
    earlier, later = (
        pydicom.dcmread(toy.core.results.path(job.id, ResultKind.SR)) for job in (first, second)
    )
    (study,) = later.PredecessorDocumentsSequence
    named = study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    assert (findings["amends"]["job_id"], named) == (first.id, earlier.SOPInstanceUID)
    assert toy.core.jobs.get(first.id).state is JobState.SUPERSEDED


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


def finding_nothing():
    def interpret(case, prepared, output, manifest, assets):
        return toy_pipeline.interpret(case, prepared, np.zeros_like(output), manifest, assets)

    return {NAME: replace(toy_pipeline.TOY, interpret=interpret)}


def test_an_empty_result_is_a_result_with_a_report_and_without_a_segmentation(tmp_path, files):
    toy = toy_core(tmp_path, finding_nothing)
    job = submitted(toy, files)

    toy.run(job.id)

    ended = toy.core.jobs.get(job.id)
    assert ended.state is JobState.SUCCEEDED and ended.notice_code is None
    assert ResultKind.SR in ended.results and ResultKind.SEG not in ended.results
    assert (
        pydicom.dcmread(toy.core.results.path(job.id, ResultKind.SR)).CompletionFlag == "COMPLETE"
    )
