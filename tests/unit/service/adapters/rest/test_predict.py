from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from tests.fake_desk import KNOWN_STUDY, FakeDesk
from willis_models.errors import BadOption, BrokerUnavailable, QueueTooLong, StorageFull
from willis_models.findings import INTENDED_USE_STATEMENT
from willis_service.adapters.rest.config import RestConfig
from willis_service.domain.job import JobState, Priority, ResultKind


def zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def post(client: TestClient, *files: tuple[str, bytes], **fields: str):
    return client.post(
        "/predict",
        data={"pipeline": "aspects", **fields},
        files=[("files", (name, content)) for name, content in files],
    )


def test_files_are_answered_with_findings_when_the_job_ends_in_time(client, desk):
    reply = post(client, ("a.dcm", b"one"), ("b.dcm", b"two"))

    assert reply.status_code == 200
    assert reply.json()["findings"]["scores"][0]["score"] == 7
    assert [content for _, content in desk.seen] == [b"one", b"two"]


def test_a_job_that_takes_longer_is_answered_202_with_its_location(client, desk):
    desk.ends_as = JobState.RUNNING

    reply = post(client, ("a.dcm", b"one"))

    assert reply.status_code == 202
    assert reply.headers["Location"] == "/jobs/job-1"
    assert reply.json()["findings"] is None


def test_a_rejected_study_is_answered_with_its_reason_and_no_numbers(client, desk):
    desk.ends_as = JobState.REJECTED

    reply = post(client, ("a.dcm", b"one"))

    assert reply.status_code == 200
    assert reply.json()["job"]["error"]["code"] == "NOT_A_HEAD"
    assert reply.json()["findings"]["scores"] == []


def test_a_failed_job_is_a_problem_that_names_the_job(client, desk):
    desk.ends_as = JobState.FAILED

    reply = post(client, ("a.dcm", b"one"))

    assert reply.status_code == 504
    assert reply.json()["code"] == "DEADLINE_EXCEEDED"
    assert reply.json()["job"] == "job-1"


@pytest.mark.parametrize(("asked_s", "waited_s"), [("2", 2.0), ("999", 5.0)])
def test_waiting_is_bounded_by_the_limit_of_the_installation(client, desk, asked_s, waited_s):
    post(client, ("a.dcm", b"one"), wait_s=asked_s)

    assert desk.waits_s == [waited_s]


def test_who_does_not_want_to_wait_does_not(client, desk):
    reply = post(client, ("a.dcm", b"one"), wait_s="0")

    assert (reply.status_code, desk.waits_s) == (202, [])


def test_the_query_wait_goes_before_the_field(client, desk):
    client.post(
        "/predict?wait_s=1", json={"pipeline": "aspects", "study_instance_uid": KNOWN_STUDY}
    )

    assert desk.waits_s == [1.0]


def test_a_study_already_received_is_asked_for_by_its_uid(client):
    body = {"pipeline": "aspects", "study_instance_uid": KNOWN_STUDY}

    as_json = client.post("/predict", json=body)
    as_form = client.post("/predict", data=body)

    assert (as_json.status_code, as_form.status_code) == (200, 200)


def test_an_unknown_study_is_a_404_problem(client):
    body = {"pipeline": "aspects", "study_instance_uid": "9.9"}

    reply = client.post("/predict", json=body)

    assert (reply.status_code, reply.json()["code"]) == (404, "UNKNOWN_STUDY")


def test_a_zip_is_unpacked_and_its_names_never_become_paths(client, desk, config: RestConfig):
    archive = zipped({"../../evil.dcm": b"one", "/etc/x": b"two", "deep/scan.nii.gz": b"three"})

    reply = post(client, ("study.zip", archive))

    assert reply.status_code == 200
    assert [content for _, content in desk.seen] == [b"one", b"two", b"three"]
    assert desk.seen[2][0].endswith(".nii.gz")
    assert not any("evil" in path.name for path in config.upload_folder.parent.rglob("*"))


def test_the_name_of_an_uploaded_file_never_becomes_a_path(client, desk):
    post(client, ("../../../tmp/evil", b"one"))

    assert desk.seen == [("000000.dcm", b"one")]


def test_nothing_of_an_upload_stays_behind(client, config: RestConfig):
    post(client, ("a.dcm", b"one"), ("b.zip", zipped({"c": b"two"})))
    post(client, ("a.zip", b"PK\x03\x04 not a zip"), wait_s="bad")

    assert list(config.upload_folder.iterdir()) == []


def test_a_zip_bomb_is_refused_by_what_it_unpacks_to(client):
    bomb = zipped({"bomb": b"\0" * 400_000})

    reply = post(client, ("bomb.zip", bomb))

    assert len(bomb) < 2_000
    assert (reply.status_code, reply.json()["code"]) == (413, "UPLOAD_TOO_LARGE")


def test_a_body_over_the_limit_is_refused(client):
    reply = post(client, ("a.dcm", b"x" * 250_000))

    assert (reply.status_code, reply.json()["code"]) == (413, "UPLOAD_TOO_LARGE")


def test_a_body_over_the_limit_is_refused_when_no_length_was_declared(client):
    boundary = {"Content-Type": "multipart/form-data; boundary=b"}

    def chunks():
        yield b'--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n'
        for _ in range(10):
            yield b"x" * 50_000

    reply = client.post("/predict", content=chunks(), headers=boundary)

    assert (reply.status_code, reply.json()["code"]) == (413, "UPLOAD_TOO_LARGE")


@pytest.mark.parametrize("as_zip", [False, True])
def test_too_many_files_are_refused(client, as_zip):
    names = [f"{number}.dcm" for number in range(6)]
    if as_zip:
        reply = post(client, ("all.zip", zipped(dict.fromkeys(names, b"x"))))
    else:
        reply = post(client, *((name, b"x") for name in names))

    assert (reply.status_code, reply.json()["code"]) == (413, "UPLOAD_TOO_LARGE")


def test_an_encrypted_or_damaged_zip_is_a_bad_upload(client):
    whole = zipped({"a": b"one" * 1000})
    encrypted = bytearray(whole)
    # The general purpose flag of the central directory (APPNOTE 4.3.12), bit 0: encrypted.
    encrypted[whole.index(b"PK\x01\x02") + 8] |= 1
    damaged = whole[:45] + b"\xff" * 5 + whole[50:]

    replies = [post(client, ("a.zip", bytes(content))) for content in (encrypted, damaged)]

    assert [(r.status_code, r.json()["code"]) for r in replies] == [(400, "BAD_UPLOAD")] * 2


def test_a_cut_off_body_is_a_bad_upload(client, desk):
    body = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\nhalf'

    reply = client.post(
        "/predict", content=body, headers={"Content-Type": "multipart/form-data; boundary=b"}
    )

    assert (reply.status_code, reply.json()["code"], desk.seen) == (400, "BAD_UPLOAD", [])


def test_files_and_a_study_uid_together_are_refused(client):
    reply = post(client, ("a.dcm", b"one"), study_instance_uid=KNOWN_STUDY)

    assert (reply.status_code, reply.json()["code"]) == (400, "BAD_UPLOAD")


def test_nothing_at_all_is_refused(client):
    assert client.post("/predict", json={"pipeline": "aspects"}).status_code == 400
    assert client.post("/predict", content=b"raw").status_code == 400
    assert client.post("/predict", json="no object").status_code == 422


def test_what_does_not_fit_the_contract_is_named_without_being_echoed(client):
    body = {"pipeline": "aspects", "study_instance_uid": "Doe^John"}

    reply = client.post("/predict", json=body)

    assert (reply.status_code, reply.json()["code"]) == (422, "VALIDATION_FAILED")
    assert reply.json()["errors"][0]["where"] == "body.study_instance_uid"
    assert "Doe" not in reply.text


def test_a_form_field_can_not_fill_the_memory(client):
    reply = post(client, ("a.dcm", b"one"), note="x" * 10_000)

    assert (reply.status_code, reply.json()["code"]) == (400, "BAD_UPLOAD")


@pytest.mark.parametrize(
    ("failure", "status"), [(StorageFull("Full."), 507), (BrokerUnavailable("Away."), 503)]
)
def test_what_may_pass_says_when_to_try_again(client, desk, failure, status):
    desk.failure = failure

    reply = post(client, ("a.dcm", b"one"))

    assert (reply.status_code, reply.json()["retryable"]) == (status, True)
    assert int(reply.headers["Retry-After"]) > 0


def test_when_too_many_wait_already_the_next_is_answered_at_once(tmp_path):
    from tests.fake_desk import KEY, an_app

    desk = FakeDesk(tmp_path)
    config = RestConfig((KEY,), tmp_path / "uploads", waiting_callers=0)
    with TestClient(an_app(desk, config), headers={"X-API-Key": KEY}) as client:
        reply = post(client, ("a.dcm", b"one"))

    assert (reply.status_code, desk.waits_s) == (202, [])


def test_the_statement_is_in_every_reply(client):
    reply = post(client, ("a.dcm", b"one"))

    assert reply.headers["Willis-Intended-Use"] == INTENDED_USE_STATEMENT
    assert reply.json()["intended_use"] == INTENDED_USE_STATEMENT


def test_while_too_much_waits_an_upload_is_refused_before_it_is_read(client, desk):
    desk.queue.refusal = QueueTooLong("What waits takes too long.", 77)

    reply = post(client, ("a.dcm", b"one"))

    assert (reply.status_code, reply.json()["code"]) == (503, "QUEUE_TOO_LONG")
    assert reply.headers["Retry-After"] == "77"
    assert desk.seen == []


def test_the_lane_is_asked_for_in_the_address(client, desk):
    files = [("files", ("a.dcm", b"one"))]
    reply = client.post("/predict?priority=urgent", data={"pipeline": "aspects"}, files=files)

    assert reply.json()["job"]["priority"] == "urgent"
    assert desk.queue.asked == [Priority.URGENT]
    assert client.post("/predict?priority=now", json={}).status_code == 422


def test_the_notice_of_a_job_that_goes_on_is_no_result(client, desk):
    desk.ends_as = JobState.RUNNING
    job = post(client, ("a.dcm", b"one")).json()["job"]["id"]
    changes = {"results": (ResultKind.FINDINGS,), "notice_code": "NO_RESULT_IN_TIME"}
    desk.jobs[job] = replace(desk.jobs[job], **changes)

    shown = client.get(f"/jobs/{job}").json()

    assert (shown["notice"], shown["is_final"]) == ("NO_RESULT_IN_TIME", False)
    assert "findings" in shown["links"]


OPTIONS = {"aif_lps": [10, -20, 35]}


def test_options_come_as_an_object_or_as_text_in_a_form(client, desk):
    body = {"pipeline": "aspects", "study_instance_uid": KNOWN_STUDY}
    text = json.dumps(OPTIONS)

    client.post("/predict", json={**body, "options": OPTIONS})
    client.post("/predict", data={**body, "options": text})
    post(client, ("a.dcm", b"one"), options=text)
    client.post("/predict", json=body)

    assert desk.options == [OPTIONS, OPTIONS, OPTIONS, {}]


@pytest.mark.parametrize("options", ["no json", "[1, 2]", "3"])
def test_options_that_are_no_object_do_not_fit_the_contract(client, desk, options):
    reply = post(client, ("a.dcm", b"one"), options=options)

    assert (reply.status_code, reply.json()["code"]) == (422, "VALIDATION_FAILED")
    assert reply.json()["errors"][0]["where"] == "body.options"
    assert desk.jobs == {}


def test_an_option_that_the_pipeline_refuses_is_a_problem_that_says_so(client, desk):
    desk.failure = BadOption("There is no option aif: write aif_lps.")

    reply = post(client, ("a.dcm", b"one"), options=json.dumps({"aif": 1}))

    assert (reply.status_code, reply.json()["code"]) == (422, "BAD_OPTION")
    assert "aif_lps" in reply.json()["detail"]


def test_of_the_names_of_nifti_files_only_what_they_show_is_kept(client, desk):
    names = (
        "sub-stroke0001_ses-01_ctp.nii.gz",
        "sub-stroke0001_ses-01_ctp.json",
        "derivatives/../Doe_space-ncct_tmax.nii.gz",
        "Doe_John.nii.gz",
    )

    post(client, *((name, name.encode()) for name in names))

    assert [name for name, _ in desk.seen] == [
        "000000_ctp.nii.gz",
        "000001_ctp.json",
        "000002_space-native_tmax.nii.gz",
        "000003.nii.gz",
    ]
