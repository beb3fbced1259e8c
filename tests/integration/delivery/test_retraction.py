"""A result that a person rejects is withdrawn from everybody who got it, and from nobody else."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from pydicom import Dataset, dcmread

from tests.archives import KO, LABELMAP, SEG, Archive
from tests.delivery_rig import archive_destination, items_of, run_until_idle
from willis_models.errors import DeliveryConflict, NotReady, UnknownDelivery, UnknownJob
from willis_service.domain.destinations import SegType
from willis_service.domain.job import JobState, ResultKind


def send_all(rig) -> None:  # type: ignore[no-untyped-def]
    rig.plan()
    for destination in rig.destinations:
        run_until_idle(rig.lane(destination))


def references(made: Dataset) -> set[tuple[str, str]]:
    """What the key object selection's content names."""
    return {
        (str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID))
        for item in items_of(made)
        if "ReferencedSOPInstanceUID" in item
    }


def test_every_archive_that_got_the_objects_is_told(rig, archive):
    job = rig.job()
    send_all(rig)

    rig.desk.retract(job, "The wrong side was scored.")
    send_all(rig)

    notice = archive.objects[archive.confirmed[-1]]
    title = notice.ConceptNameCodeSequence[0]
    assert (notice.SOPClassUID, title.CodeValue, title.CodingSchemeDesignator) == (
        KO,
        "113001",
        "DCM",
    )
    assert {uid for _, uid in references(notice)} == set(rig.uids(job).values())
    assert rig.states() == {"SEG": "retracted", "SR": "retracted", "RETRACTION": "sent"}


def test_the_notice_lies_in_the_study_of_the_result_and_keeps_its_patient(rig, archive):
    job = rig.job()
    rig.desk.retract(job, "")

    made, sr = rig.read(job, ResultKind.RETRACTION), rig.read(job, ResultKind.SR)

    for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "AccessionNumber"):
        assert made[keyword].value == sr[keyword].value
    assert made.SeriesInstanceUID != sr.SeriesInstanceUID
    assert made.Modality == "KO"


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
def test_the_notice_is_valid_dicom(rig, archive):
    job = rig.job()
    rig.desk.retract(job, "The wrong side was scored.")
    path = rig.shelf.path(job, ResultKind.RETRACTION)

    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)

    report = done.stdout + done.stderr
    assert "KeyObjectSelectionDocument" in report
    assert not [line for line in report.splitlines() if line.startswith("Error")], report


def test_what_has_not_left_never_leaves_and_nobody_is_told(rig, archive):
    job = rig.job()
    rig.plan()

    rig.desk.retract(job, "")
    send_all(rig)

    assert archive.offered == []
    assert rig.states() == {"SEG": "withdrawn", "SR": "withdrawn"}


def test_a_result_retracted_before_it_was_planned_is_never_planned(rig, archive):
    job = rig.job()
    rig.desk.retract(job, "")

    send_all(rig)

    assert (archive.offered, rig.rows()) == ([], [])


def test_an_archive_that_may_have_it_without_having_said_so_is_told(rig, archive):
    archive.abort_at, archive.abort_keeps = 1, True
    job = rig.job()
    send_all(rig)
    archive.abort_at = None

    rig.desk.retract(job, "")
    send_all(rig)

    assert str(archive.objects[archive.confirmed[-1]].SOPClassUID) == KO
    assert rig.states()["SEG"] == "withdrawn"


def test_a_label_map_archive_is_told_about_the_objects_that_it_has(rig, archive):
    with Archive("LABELS") as other:
        labels = archive_destination(other.address, "labels", seg=SegType.LABELMAP)
        rig.destinations = [*rig.destinations, labels]
        job = rig.job()
        send_all(rig)
        rig.desk.retract(job, "")
        send_all(rig)

    here, there = (one.objects[one.confirmed[-1]] for one in (archive, other))
    assert here.SOPInstanceUID != there.SOPInstanceUID
    assert {uid for _, uid in references(there)} == set(other.confirmed[:2])
    assert SEG in {sop_class for sop_class, _ in references(here)}
    assert LABELMAP in {sop_class for sop_class, _ in references(there)}


def test_retracting_twice_is_retracting_once(rig, archive):
    job = rig.job()
    send_all(rig)

    first = rig.desk.retract(job, "first")
    rig.clock.advance(60)
    second = rig.desk.retract(job, "second")
    send_all(rig)

    assert (second.retracted_at, second.retraction_reason) == (first.retracted_at, "first")
    assert len(archive.confirmed) == 3


def test_a_job_without_a_result_has_nothing_to_retract(rig):
    job = rig.job(kinds=[], state=JobState.FAILED)

    with pytest.raises(NotReady):
        rig.desk.retract(job, "")
    with pytest.raises(UnknownJob):
        rig.desk.retract("nobody", "")


def test_an_image_without_a_study_is_retracted_without_an_object(rig):
    job = rig.job(kinds=[ResultKind.FINDINGS], study_instance_uid="")

    retracted = rig.desk.retract(job, "wrong")

    assert (retracted.retracted_at, retracted.results) == (rig.clock(), (ResultKind.FINDINGS,))


def test_a_refused_delivery_is_sent_when_a_person_asks(rig, archive):
    archive.status_of[SEG] = 0x0122
    rig.job()
    send_all(rig)
    (refused,) = rig.rows(state="refused")
    archive.status_of.clear()

    rig.desk.retry(refused.id)
    send_all(rig)

    assert rig.states() == {"SEG": "sent", "SR": "sent"}


def test_what_was_confirmed_is_sent_again_only_where_that_is_meant(rig, archive):
    rig.job()
    send_all(rig)
    delivery = rig.rows()[0]

    with pytest.raises(DeliveryConflict):
        rig.desk.retry(delivery.id)
    rig.desk.retry(delivery.id, again=True)
    send_all(rig)

    assert archive.confirmed.count(delivery.object_id) == 2


def test_what_was_retracted_is_not_sent_again(rig, archive):
    job = rig.job()
    send_all(rig)
    rig.desk.retract(job, "")
    send_all(rig)
    (seg,) = [row for row in rig.rows() if row.kind is ResultKind.SEG]

    with pytest.raises(DeliveryConflict):
        rig.desk.retry(seg.id, again=True)


def test_a_dropped_delivery_is_owed_to_nobody(rig, archive):
    archive.status_of[SEG] = 0x0122
    rig.job()
    send_all(rig)
    (refused,) = rig.rows(state="refused")

    assert rig.desk.drop(refused.id).state == "withdrawn"
    with pytest.raises(DeliveryConflict):
        rig.desk.drop(rig.rows(state="sent")[0].id)
    with pytest.raises(UnknownDelivery):
        rig.desk.drop("nobody")


def test_destinations_show_how_they_stand_and_those_that_are_gone(rig, archive):
    archive.status_of[SEG] = 0x0122
    rig.job()
    send_all(rig)
    (here,) = rig.desk.destinations()
    rig.destinations = []

    (gone,) = rig.desk.destinations()

    assert (here.kind, here.address, here.is_configured) == ("dicom", str(archive.address), True)
    assert dict(here.counts) == {"refused": 1, "sent": 1}
    assert (gone.name, gone.is_configured) == ("pacs", False)


def test_the_notice_is_the_same_object_however_often_it_is_made(rig):
    job = rig.job()
    retracted = rig.desk.retract(job, "x")
    first = dcmread(rig.shelf.path(job, ResultKind.RETRACTION)).SOPInstanceUID
    rig.desk.write_retraction(retracted, "x", rig.clock())

    assert dcmread(rig.shelf.path(job, ResultKind.RETRACTION)).SOPInstanceUID == first
