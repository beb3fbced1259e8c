from __future__ import annotations


def test_readiness_names_the_part_that_is_not_ready(client, desk):
    desk.ready = False

    reply = client.get("/readyz")

    assert (reply.status_code, reply.json()["ready"]) == (503, False)
    assert reply.json()["parts"] == {"database": "ok", "broker": "no answer"}


def test_health_does_not_depend_on_readiness(client, desk):
    desk.ready = False

    assert client.get("/healthz").status_code == 200


def test_pipelines_say_which_series_they_read(client):
    (pipeline,) = client.get("/pipelines").json()["pipelines"]

    assert pipeline["name"] == "aspects"
    assert pipeline["roles"][0]["modality"] == "CT"


def test_metrics_count_requests_by_route_template(client):
    client.get("/jobs/job-1")
    client.get("/jobs/job-2")

    page = client.get("/metrics").text

    count = 'willis_http_requests_total{method="GET",route="/jobs/{job_id}",status="404"} 2.0'
    assert count in page
    assert 'willis_ready{part="broker"} 1.0' in page
