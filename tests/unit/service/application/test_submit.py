from dataclasses import replace

import numpy as np
import pydicom
import pytest

from tests.synthetic_ct import write_ct_series
from tests.toy_core import toy_core
from tests.toy_pipeline import NAME
from willis_models.errors import (
    BadUpload,
    NotReady,
    QueueTooLong,
    UnknownJob,
    UnknownPipeline,
    UnknownStudy,
    UploadTooLarge,
)
from willis_service.adapters.dicom.incoming import uploaded_instance
from willis_service.bootstrap.api import desk_of
from willis_service.domain.job import Ending, JobState, Priority, ResultKind


@pytest.fixture
def toy(tmp_path):
    return toy_core(tmp_path, max_upload_files=30)


@pytest.fixture
def desk(toy):
    return desk_of(toy.core)


@pytest.fixture
def files(tmp_path):
    return write_ct_series(tmp_path / "ct", shape=(12, 32, 32))


def test_uploading_the_same_files_twice_gives_the_same_job(toy, desk, files):
    first, second = desk.submit_files(files, NAME), desk.submit_files(reversed(files), NAME)

    assert (first.id, first.state) == (second.id, JobState.QUEUED)
    assert toy.queue.analyses == [first.id]


def test_an_upload_is_not_routed_a_second_time_by_the_quiet_timer(toy, desk, files):
    desk.submit_files(files, NAME)

    assert toy.core.studies.open_studies() == []


def test_a_received_study_can_be_asked_for_by_its_uid(desk, files):
    uploaded = desk.submit_files(files, NAME)

    assert desk.submit_study(uploaded.study_instance_uid, NAME).id == uploaded.id


def test_what_is_no_dicom_among_the_files_is_left_out(desk, files, tmp_path):
    letter = tmp_path / "letter.pdf"
    letter.write_bytes(b"%PDF-1.7" + bytes(200))

    assert desk.submit_files([*files, letter], NAME).id == desk.submit_files(files, NAME).id


def test_an_upload_without_images_of_two_studies_or_of_too_many_files_is_refused(
    desk, files, tmp_path
):
    other = write_ct_series(tmp_path / "other", shape=(12, 32, 32), seed="2")

    for bad in ([], [tmp_path / "letter.txt"], files + other):
        (tmp_path / "letter.txt").write_text("no image")
        with pytest.raises(BadUpload):
            desk.submit_files(bad, NAME)
    with pytest.raises(UploadTooLarge):
        desk.submit_files(files * 3, NAME)


def test_what_does_not_exist_is_named(desk, files):
    with pytest.raises(UnknownPipeline, match="Known: toy"):
        desk.submit_files(files, "aspekts")
    with pytest.raises(UnknownStudy):
        desk.submit_study("1.2.3.4", NAME)
    with pytest.raises(UnknownJob):
        desk.job("no such job")


def test_asking_again_for_a_job_that_failed_tries_it_again(toy, desk, files):
    job = desk.submit_files(files, NAME)
    run = toy.core.jobs.claim(job.id, toy.clock())
    toy.core.jobs.finish(run, Ending(JobState.FAILED, (), "STORAGE_FULL", "full"), toy.clock())

    again = desk.submit_files(files, NAME)

    assert (again.id, again.state, again.attempts) == (job.id, JobState.QUEUED, 0)
    assert toy.queue.analyses == [job.id, job.id]


def test_asking_again_does_not_try_a_parked_study(toy, desk, files):
    job = desk.submit_files(files, NAME)
    run = toy.core.jobs.claim(job.id, toy.clock())
    toy.core.jobs.finish(run, Ending(JobState.FAILED, (), "WORKER_LOST", "died"), toy.clock())

    again = desk.submit_files(files, NAME)

    assert (again.state, again.is_parked) == (JobState.FAILED, True)


def test_an_urgent_request_puts_its_job_into_the_urgent_lane(desk, files):
    assert desk.submit_files(files, NAME).priority is Priority.ROUTINE
    assert desk.submit_files(files, NAME, Priority.URGENT).priority is Priority.URGENT


def test_a_study_that_would_be_new_work_is_refused_while_too_much_waits(toy, desk, files):
    def refuse(_priority):
        raise QueueTooLong("later", 30)

    busy = replace(desk, queue=replace(desk.queue, admit=refuse))
    toy.core.intake.take(uploaded_instance(files[0]))
    study = str(pydicom.dcmread(files[0]).StudyInstanceUID)

    with pytest.raises(QueueTooLong):
        busy.submit_study(study, NAME)
    known = desk.submit_study(study, NAME)

    assert busy.submit_study(study, NAME).id == known.id


def test_waiting_ends_with_the_job_or_with_the_time(toy, desk, files):
    job = desk.submit_files(files, NAME)
    early = desk.wait_for(job.id, 0.15)
    toy.run(job.id)

    assert (early.state, desk.wait_for(job.id, 60).state) == (
        JobState.QUEUED,
        JobState.SUCCEEDED,
    )


def test_a_result_that_is_not_there_says_why(toy, desk, files):
    job = desk.submit_files(files, NAME)

    with pytest.raises(NotReady, match="queued"):
        desk.result_path(job.id, ResultKind.SEG)
    toy.run(job.id)

    assert desk.result_path(job.id, ResultKind.SEG).is_file()
    with pytest.raises(NotReady, match="has no labels"):
        desk.result_path(job.id, ResultKind.LABELS)


def test_a_nifti_image_gives_labels_findings_and_report(toy, desk, tmp_path):
    import nibabel as nib

    image = tmp_path / "head.nii.gz"
    voxels = np.full((16, 16, 12), -1000, dtype=np.int16)
    voxels[4:12, 4:12, 2:10] = 40
    nib.save(nib.Nifti1Image(voxels, np.diag([2.0, 2.0, 5.0, 1.0])), image)

    job = desk.submit_files([image], NAME)
    toy.run(job.id)

    labels = nib.load(desk.result_path(job.id, ResultKind.LABELS))
    assert np.asarray(labels.dataobj).sum() == 8 * 8 * 8
    assert set(desk.job(job.id).results) == {
        ResultKind.FINDINGS,
        ResultKind.LABELS,
        ResultKind.REPORT,
        ResultKind.PICTURE,
    }


def test_a_nifti_image_comes_alone(desk, files, tmp_path):
    image = tmp_path / "head.nii"
    image.write_bytes(b"nifti")

    with pytest.raises(BadUpload, match="alone"):
        desk.submit_files([image, *files], NAME)


def test_readiness_names_every_part_and_what_is_wrong(toy, desk):
    toy.queue.is_away = True

    state = desk.readiness()

    parts = {"database", "broker", "worker", "keeper", "courier", "disk", "models"}
    assert set(state) == parts
    assert (state["database"], state["disk"], state["models"]) == ("ok", "ok", "ok")
    assert (state["worker"], state["keeper"]) == ("no worker is ready", "no keeper is present")
    assert state["courier"] == "no courier is present"
    assert state["broker"] == "The queue is away."


def test_a_file_that_was_uploaded_is_the_file_that_is_kept(toy, desk, files):
    job = desk.submit_files(files, NAME)
    (kept,) = (
        toy.core.folder.path_of(instance.path)
        for instance in toy.core.studies.instances(job.study_instance_uid)
        if instance.sop_instance_uid == str(pydicom.dcmread(files[0]).SOPInstanceUID)
    )

    assert kept.read_bytes() == files[0].read_bytes()
