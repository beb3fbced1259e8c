from __future__ import annotations

from tests.fake_desk import KNOWN_STUDY, FakeDesk
from willis_service.adapters.telemetry.metrics import Metrics
from willis_service.domain.job import JobState


def page(metrics: Metrics) -> str:
    return metrics.render()[0].decode()


def test_recent_jobs_are_counted_by_state_when_scraped(tmp_path):
    desk = FakeDesk(tmp_path)
    metrics = Metrics(desk.readiness, desk.recent_jobs)
    job = desk.submit_study(KNOWN_STUDY, "aspects")
    desk.submit_study(KNOWN_STUDY, "aspects")
    desk.wait_for(job.id, 1)

    text = page(metrics)

    assert 'willis_recent_jobs{pipeline="aspects",state="queued"} 1.0' in text
    assert 'willis_recent_jobs{pipeline="aspects",state="succeeded"} 1.0' in text
    assert 'willis_recent_job_seconds_max{pipeline="aspects"} 9.0' in text


def test_a_part_that_is_not_ready_reads_zero(tmp_path):
    desk = FakeDesk(tmp_path, ends_as=JobState.RUNNING, ready=False)

    text = page(Metrics(desk.readiness, desk.recent_jobs))

    assert 'willis_ready{part="broker"} 0.0' in text


def test_two_sets_of_metrics_live_side_by_side(tmp_path):
    desk = FakeDesk(tmp_path)
    first, second = (Metrics(desk.readiness, desk.recent_jobs) for _ in range(2))

    first.observe_request("GET", "/jobs", 200, 0.1)

    assert "willis_http_requests_total{" in page(first)
    assert "willis_http_requests_total{" not in page(second)
