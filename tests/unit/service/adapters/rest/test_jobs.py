from __future__ import annotations

import pytest

from tests.fake_desk import KNOWN_STUDY
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


def test_a_job_links_to_each_of_its_results_and_each_link_answers(done):
    links = done.get("/jobs/job-1").json()["links"]

    assert set(links) == {"self", "findings", "seg", "sr", "report", "picture", "labels"}
    assert all(done.get(path).status_code == 200 for path in links.values())


@pytest.mark.parametrize(
    ("result", "media_type", "content"),
    [
        ("seg", "application/dicom", b"the seg"),
        ("sr", "application/dicom", b"the sr"),
        ("report", "text/html; charset=utf-8", b"the report"),
        ("picture", "image/png", b"the picture"),
    ],
)
def test_a_result_has_its_media_type_and_is_not_kept_by_caches(done, result, media_type, content):
    reply = done.get(f"/jobs/job-1/{result}")

    assert (reply.headers["content-type"], reply.content) == (media_type, content)
    assert "no-store" in reply.headers["cache-control"]


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
