"""Objects in over STOW-RS: as durable, as indexed and as conflicting as over C-STORE."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests
from pydicom import Dataset, dcmread

from tests.dicomweb_site import CLIENT
from tests.synthetic_ct import write_ct_series

RELATED = 'multipart/related; type="application/dicom"; boundary=b'


def study_of(files: list[Path]) -> str:
    return str(dcmread(files[0]).StudyInstanceUID)


def body(files: list[Path]) -> bytes:
    head = b"--b\r\nContent-Type: application/dicom\r\n\r\n"
    return b"".join(head + path.read_bytes() + b"\r\n" for path in files) + b"--b--\r\n"


def test_what_is_stored_lies_on_disk_and_opens_its_study_for_routing(site, head):
    answer = site.store(head)

    study = study_of(head)
    stored = site.toy.core.studies.instances(study)
    assert len(answer.ReferencedSOPSequence) == len(stored) == len(head)
    assert {one.sender for one in stored} == {CLIENT.name}
    assert [one.study_instance_uid for one in site.toy.core.studies.open_studies()] == [study]


def test_the_bytes_are_kept_as_they_were_sent(site, head):
    reply = site.session.post(
        f"{site.url}/dicomweb/studies", data=body(head), headers={"Content-Type": RELATED}
    )

    stored = site.toy.core.studies.instances(study_of(head))
    kept = {site.toy.core.folder.path_of(one.path).read_bytes() for one in stored}
    assert reply.status_code == 200
    assert kept == {path.read_bytes() for path in head}


def test_the_same_object_again_is_stored_once(site, head):
    site.store(head)

    answer = site.store(head)

    assert len(answer.ReferencedSOPSequence) == len(head)
    assert len(site.toy.core.studies.instances(study_of(head))) == len(head)


def test_other_content_under_the_same_uid_is_kept_and_shown_as_a_conflict(site, head):
    site.store(head)
    changed = dcmread(head[0])
    changed.InstanceNumber = 4711

    answer = site.client.store_instances([changed])

    assert answer.ReferencedSOPSequence[0].WarningReason == 0xB111
    study = study_of(head)
    shown = site.get(f"/studies/{study}").json()
    [conflict] = shown["conflicts"]
    assert conflict["sop_instance_uid"] == str(changed.SOPInstanceUID)
    assert [one["is_used"] for one in conflict["versions"]] == [True, False]
    assert len({one["sha256"] for one in conflict["versions"]}) == 2
    assert shown["study"]["conflicts"] == 1
    used = site.client.retrieve_instance(study, changed.SeriesInstanceUID, changed.SOPInstanceUID)
    assert used.InstanceNumber == dcmread(head[0]).InstanceNumber


def test_a_study_in_two_parts_is_listed_once_with_what_it_holds(site, head):
    site.store(head[:5])
    site.store(head[5:])

    page = site.get("/studies").json()

    [study] = page["studies"]
    assert (page["total"], study["instances"], study["series"]) == (1, len(head), 1)
    assert (study["state"], study["senders"], study["jobs"]) == ("open", [CLIENT.name], [])


def test_an_object_of_another_study_fails_and_the_others_are_stored(site, head, tmp_path):
    stray = write_ct_series(tmp_path / "stray", shape=(1, 16, 16), seed="2")
    datasets = [dcmread(path) for path in (head[0], *stray)]

    answer = site.client.store_instances(datasets, study_of(head))

    assert [one.FailureReason for one in answer.FailedSOPSequence] == [0xC409]
    assert len(answer.ReferencedSOPSequence) == 1


def test_an_object_that_is_no_image_or_document_of_dicom_is_not_supported(site, head):
    odd = dcmread(head[0])
    odd.SOPClassUID = odd.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.31"

    with pytest.raises(requests.HTTPError, match="409"):
        site.client.store_instances([odd])


def test_a_damaged_object_fails_alone(site, head, tmp_path):
    damaged = tmp_path / "damaged.dcm"
    damaged.write_bytes(head[0].read_bytes()[:300])

    reply = site.session.post(
        f"{site.url}/dicomweb/studies",
        data=body([head[1], damaged]),
        headers={"Content-Type": RELATED},
    )

    answer = Dataset.from_json(reply.json())
    assert reply.status_code == 202
    assert len(answer.ReferencedSOPSequence) == 1
    assert answer[0x0008119A].value[0].FailureReason == 0xC000


def test_an_object_above_the_limit_is_refused_with_its_reason(site, head, tmp_path):
    large = tmp_path / "large.dcm"
    large.write_bytes(head[0].read_bytes() + bytes(2**20))

    reply = site.session.post(
        f"{site.url}/dicomweb/studies", data=body([large]), headers={"Content-Type": RELATED}
    )

    assert reply.status_code == 409
    assert Dataset.from_json(reply.json())[0x0008119A].value[0].FailureReason == 0x0213
