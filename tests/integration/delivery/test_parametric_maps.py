"""Parametric maps go where SEG and SR go, and are withdrawn with them."""

from __future__ import annotations

from tests.archives import SEG, SR, Archive
from tests.delivery_rig import (
    SEG_MAP_AND_SR,
    archive_destination,
    items_of,
    run_until_idle,
)
from willis_service.adapters.dicom.labelmap import labelmap_uid
from willis_service.domain.destinations import SegType, Wanted
from willis_service.domain.job import ResultKind

MAP = "1.2.840.10008.5.1.4.1.1.30"


def send_all(rig) -> None:  # type: ignore[no-untyped-def]
    rig.plan()
    for destination in rig.destinations:
        run_until_idle(rig.lane(destination))


def test_seg_and_maps_arrive_before_the_report_that_names_them(rig, archive):
    job = rig.job(kinds=SEG_MAP_AND_SR)

    send_all(rig)

    arrived = [archive.objects[uid] for uid in archive.confirmed]
    assert [str(one.SOPClassUID) for one in arrived] == [SEG, MAP, SR]
    stored = rig.read(job, ResultKind.TMAX)
    assert arrived[1].FloatPixelData == stored.FloatPixelData
    named = {item.get("ReferencedSOPInstanceUID") for item in items_of(arrived[2])}
    assert {one.SOPInstanceUID for one in arrived[:2]} <= named


def test_an_archive_may_do_without_maps(rig, archive):
    wanted = Wanted(kinds=(ResultKind.SEG, ResultKind.SR))
    rig.destinations = [archive_destination(archive.address, wanted=wanted)]
    rig.job(kinds=SEG_MAP_AND_SR)

    send_all(rig)

    assert {str(one.SOPClassUID) for one in archive.objects.values()} == {SEG, SR}


def test_an_archive_that_refuses_maps_gets_the_rest(rig, archive):
    archive.refused_classes.add(MAP)
    archive.down()
    archive.up()
    rig.job(kinds=SEG_MAP_AND_SR)

    send_all(rig)

    assert rig.states() == {"SEG": "sent", "TMAX": "refused", "SR": "sent"}


def test_a_retraction_names_the_maps_as_well(rig, archive):
    job = rig.job(kinds=SEG_MAP_AND_SR)
    send_all(rig)

    rig.desk.retract(job, "The wrong series was measured.")
    send_all(rig)

    notice = archive.objects[archive.confirmed[-1]]
    named = {item.get("ReferencedSOPInstanceUID") for item in items_of(notice)}
    assert {rig.read(job, kind).SOPInstanceUID for kind in SEG_MAP_AND_SR} <= named


def test_where_label_maps_are_wanted_the_report_names_what_was_sent(rig):
    with Archive("LABELS") as archive:
        rig.destinations = [archive_destination(archive.address, seg=SegType.LABELMAP)]
        job = rig.job(kinds=SEG_MAP_AND_SR)

        send_all(rig)

        seg, tmax, sr = (archive.objects[uid] for uid in archive.confirmed)
        assert seg.SOPInstanceUID == labelmap_uid(rig.read(job, ResultKind.SEG).SOPInstanceUID)
        assert (seg.SOPClassUID, seg.SegmentationType) == (SEG, "BINARY")
        assert tmax.SOPInstanceUID == rig.read(job, ResultKind.TMAX).SOPInstanceUID
        named = {item.get("ReferencedSOPInstanceUID") for item in items_of(sr)}
        assert {seg.SOPInstanceUID, tmax.SOPInstanceUID} <= named
