from __future__ import annotations

import pytest


@pytest.fixture
def done(client):
    client.post("/predict", json={"pipeline": "aspects", "study_instance_uid": "1.2.3"})
    return client


def test_a_delivery_says_where_it_stands_and_why(done):
    (one,) = done.get("/deliveries").json()["deliveries"]

    assert (one["state"], one["code"], one["attempts"]) == ("waiting", "UNREACHABLE", 3)
    assert one["next_attempt_at"] is not None
    assert one["sop_instance_uid"] == "1.2.3.4"
    assert one["intended_use"]


def test_deliveries_are_listed_by_state(done):
    assert done.get("/deliveries", params={"state": "refused"}).status_code == 200
    assert done.get("/deliveries", params={"state": "lost"}).status_code == 422


def test_a_retry_is_accepted_and_an_unknown_delivery_is_not_found(done):
    assert done.post("/deliveries/delivery-1/retry").status_code == 202
    unknown = done.post("/deliveries/nobody/retry")

    assert (unknown.status_code, unknown.json()["code"]) == (404, "UNKNOWN_DELIVERY")


def test_a_dropped_delivery_is_withdrawn(done):
    assert done.post("/deliveries/delivery-1/drop").json()["state"] == "withdrawn"


def test_a_retraction_needs_a_reason_and_shows_in_the_job(done):
    assert done.post("/jobs/job-1/retract", json={}).status_code == 422
    assert done.post("/jobs/job-1/retract", json={"reason": " "}).status_code == 422

    reply = done.post("/jobs/job-1/retract", json={"reason": "The wrong side was scored."})

    assert reply.status_code == 202
    assert reply.json()["retraction"]["reason"] == "The wrong side was scored."


def test_a_job_that_was_not_retracted_says_so(done):
    assert done.get("/jobs/job-1").json()["retraction"] is None


def test_destinations_are_shown_without_secrets(done):
    (one,) = done.get("/destinations").json()["destinations"]

    assert (one["name"], one["address"], one["deliveries"]) == (
        "pacs",
        "PACS@pacs:104",
        {"waiting": 1},
    )
    assert set(one) == {
        "name",
        "kind",
        "address",
        "seg",
        "commitment",
        "configured",
        "deliveries",
        "owed_since",
    }


def test_every_route_needs_a_key(done):
    for path in ("/deliveries", "/deliveries/delivery-1", "/destinations"):
        assert done.get(path, headers={"X-API-Key": "no"}).status_code == 401
    for path in ("/deliveries/delivery-1/retry", "/jobs/job-1/retract"):
        assert done.post(path, headers={"X-API-Key": "no"}, json={}).status_code == 401
