from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fake_imaging import WHEN
from willis_service.domain.job import JobState
from willis_service.domain.study import OutcomeCode, StudyOutcome
from willis_service.domain.study_overview import JobLine, StudyOverview, StudyState

OUTCOME = StudyOutcome(
    study_instance_uid="1.2.3",
    code=OutcomeCode.NO_RULE,
    reason="No rule takes any of its series.",
    images_fingerprint="f" * 64,
    decided_at=WHEN,
)
STUDY = StudyOverview(
    study_instance_uid="1.2.3",
    first_received_at=WHEN,
    last_received_at=WHEN,
    is_open=False,
    senders=(),
    series=1,
    instances=1,
    size_bytes=1,
    conflicts=0,
    jobs=(),
)
JOB = JobLine("job-1", "aspects", JobState.QUEUED, None, WHEN)


def test_the_list_says_where_each_study_stands_and_how_many_there_are(client):
    reply = client.get("/studies?limit=10").json()

    [study] = reply["studies"]
    assert (reply["total"], study["state"], study["conflicts"]) == (1, "routed", 1)
    assert study["senders"] == ["SCANNER"]
    assert study["jobs"][0]["link"] == "/jobs/job-1"


def test_a_page_behind_the_last_study_is_empty(client):
    assert client.get("/studies?offset=1").json()["studies"] == []


def test_a_conflict_shows_both_contents_and_which_one_is_used(client):
    [conflict] = client.get("/studies/1.2.3").json()["conflicts"]

    used = {version["sender"]: version["is_used"] for version in conflict["versions"]}
    assert used == {"SCANNER": True, "PACS": False}
    assert {version["sha256"] for version in conflict["versions"]} == {"a" * 64, "b" * 64}


def test_a_study_that_never_came_is_unknown(client):
    reply = client.get("/studies/1.9")

    assert (reply.status_code, reply.json()["code"]) == (404, "UNKNOWN_STUDY")


@pytest.mark.parametrize(
    ("study", "state"),
    [
        (replace(STUDY, is_open=True, jobs=(JOB,)), StudyState.OPEN),
        (replace(STUDY, jobs=(JOB,)), StudyState.ROUTED),
        (replace(STUDY, outcome=replace(OUTCOME, code=OutcomeCode.ROUTED)), StudyState.ROUTED),
        (replace(STUDY, outcome=OUTCOME), StudyState.NOT_ROUTED),
        (STUDY, StudyState.NOT_ROUTED),
    ],
)
def test_a_study_is_open_routed_or_not(study, state):
    assert study.state is state
