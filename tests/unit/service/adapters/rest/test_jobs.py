from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fake_desk import KNOWN_STUDY, START
from willis_service.domain.alarm import Alarm, AlarmKind
from willis_service.domain.job import JobState

ASK = {"pipeline": "aspects", "study_instance_uid": KNOWN_STUDY}


@pytest.fixture
def done(client):
    client.post("/predict", json=ASK)
    return client


def test_jobs_are_listed_newest_first(client):
    for _ in range(3):
        client.post("/predict", json=ASK)

    listed = client.get("/jobs?limit=2").json()["jobs"]

    assert [job["id"] for job in listed] == ["job-3", "job-2"]


def test_a_job_says_with_which_options_it_was_ordered(client):
    client.post("/predict", json=ASK)
    client.post("/predict", json={**ASK, "options": {"aif_lps": [1, -2, 3.5]}})

    shown = [job["options"] for job in client.get("/jobs").json()["jobs"]]

    assert shown == [{"aif_lps": [1, -2, 3.5]}, {}]


def test_a_job_links_to_each_of_its_results_and_each_link_answers(done):
    links = done.get("/jobs/job-1").json()["links"]

    objects = {"self", "findings", "seg", "sr", "report", "picture", "labels", "overlays"}
    assert set(links) == objects | {"cbf", "cbv", "mtt", "tmax", "ttp"}
    assert all(done.get(path).status_code == 200 for path in links.values())


@pytest.mark.parametrize(
    ("result", "media_type", "content"),
    [
        ("seg", "application/dicom", b"the seg"),
        ("sr", "application/dicom", b"the sr"),
        ("report", "text/html; charset=utf-8", b"the report"),
        ("picture", "image/png", b"the picture"),
        ("maps/tmax.dcm", "application/dicom", b"the tmax"),
        ("maps/tmax.nii.gz", "application/gzip", b"the tmax_nifti"),
    ],
)
def test_a_result_has_its_media_type_and_is_not_kept_by_caches(done, result, media_type, content):
    reply = done.get(f"/jobs/job-1/{result}")

    assert (reply.headers["content-type"], reply.content) == (media_type, content)
    assert "no-store" in reply.headers["cache-control"]


def test_a_file_that_is_no_map_is_not_found_below_maps(done):
    assert done.get("/jobs/job-1/maps/seg.dcm").status_code == 422


def test_the_report_may_load_nothing_from_elsewhere(done):
    policy = done.get("/jobs/job-1/report").headers["content-security-policy"]

    assert policy.startswith("default-src 'none'")


def test_a_result_that_is_not_there_yet_is_a_409_problem(client, desk):
    desk.ends_as = JobState.RUNNING
    client.post("/predict", json=ASK)

    reply = client.get("/jobs/job-1/seg")

    assert (reply.status_code, reply.json()["code"]) == (409, "RESULT_NOT_READY")


def test_an_unknown_job_is_a_404_problem(client):
    reply = client.get("/jobs/nobody/findings")

    assert (reply.status_code, reply.json()["code"]) == (404, "UNKNOWN_JOB")
    assert reply.headers["content-type"] == "application/problem+json"


def test_jobs_are_listed_by_state(client, desk):
    desk.ends_as = JobState.FAILED
    client.post("/predict", json=ASK)
    client.post("/predict?wait_s=0", json=ASK)

    listed = client.get("/jobs?state=failed").json()["jobs"]

    assert [(job["id"], job["state"]) for job in listed] == [("job-1", "failed")]
    assert client.get("/jobs?state=lost").status_code == 422


def test_a_parked_job_is_seen_with_its_reason_and_retry_puts_it_back(client, desk):
    desk.ends_as = JobState.FAILED
    client.post("/predict", json=ASK)
    desk.jobs["job-1"] = replace(desk.jobs["job-1"], error_code="WORKER_LOST")

    parked = client.get("/jobs/job-1").json()
    reply = client.post("/jobs/job-1/retry")

    assert (parked["parked"], parked["error"]["code"]) == (True, "WORKER_LOST")
    assert (reply.status_code, reply.json()["state"]) == (202, "queued")


def test_only_a_failed_job_can_be_tried_again(done):
    reply = done.post("/jobs/job-1/retry")

    assert (reply.status_code, reply.json()["code"]) == (409, "JOB_NOT_FAILED")
    assert done.post("/jobs/nobody/retry").status_code == 404


def test_alarms_name_what_has_no_result(client, desk):
    desk.queue.alarm_list = [
        Alarm(AlarmKind.NOT_ROUTED, "STUDY_NOT_ROUTED", "No bundle.", KNOWN_STUDY, None, START)
    ]

    (alarm,) = client.get("/alarms").json()["alarms"]

    assert (alarm["kind"], alarm["study_instance_uid"]) == ("not_routed", KNOWN_STUDY)
    assert alarm["job"] is None


def test_a_job_says_how_long_its_steps_took_and_what_it_amends(done, desk):
    changes = {"timings_s": {"read": 1.5}, "predecessor_id": "job-0"}
    desk.jobs["job-1"] = replace(desk.jobs["job-1"], **changes)

    job = done.get("/jobs/job-1").json()

    assert (job["timings_s"], job["predecessor"]) == ({"read": 1.5}, "job-0")


def test_a_running_job_says_at_which_step_it_is(client, desk):
    job = desk.submit_study(KNOWN_STUDY, "aspects")
    desk.jobs[job.id] = replace(job, state=JobState.RUNNING, step="prepare: motion")

    assert client.get(f"/jobs/{job.id}").json()["step"] == "prepare: motion"
