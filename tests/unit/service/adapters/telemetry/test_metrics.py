from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from tests.fake_desk import KNOWN_STUDY, START, FakeDesk
from willis_models.errors import DatabaseUnavailable
from willis_service.adapters.telemetry.metrics import Metrics
from willis_service.domain.alarm import Alarm, AlarmKind
from willis_service.domain.job import JobState, Priority


def metrics_of(desk: FakeDesk) -> Metrics:
    return Metrics(desk.readiness, desk.queue, START)


def page(metrics: Metrics) -> str:
    return metrics.render()[0].decode()


def test_the_queue_is_shown_by_lane_and_state(tmp_path):
    desk = FakeDesk(tmp_path)
    job = desk.submit_study(KNOWN_STUDY, "aspects")
    desk.submit_study(KNOWN_STUDY, "aspects", Priority.URGENT)
    desk.submit_study(KNOWN_STUDY, "aspects")
    desk.wait_for(job.id, 1)
    desk.queue.alarm_list = [Alarm(AlarmKind.FAILED, "X", "x", KNOWN_STUDY, job.id, START)]

    text = page(metrics_of(desk))

    for line in (
        'willis_queue_jobs{lane="urgent"} 1.0',
        'willis_queue_jobs{lane="routine"} 1.0',
        'willis_queue_oldest_seconds{lane="routine"} 3.0',
        'willis_jobs{state="queued"} 2.0',
        'willis_no_result{kind="failed"} 1.0',
        "willis_backlog_seconds 20.0",
        "willis_lease_age_seconds 2.0",
        "willis_workers 1.0",
    ):
        assert line in text, line


def test_a_job_is_counted_once_however_often_it_is_scraped(tmp_path):
    desk = FakeDesk(tmp_path)
    metrics = metrics_of(desk)
    for number in range(3):
        job = desk.submit_study(KNOWN_STUDY, "aspects")
        desk.wait_for(job.id, 1)
        ended = START + timedelta(seconds=9 * number)
        desk.jobs[job.id] = replace(
            desk.jobs[job.id], finished_at=ended, timings_s={"read": 2.0, "predict": 5.0}
        )
        page(metrics)

    text = page(metrics)

    assert 'willis_jobs_ended_total{pipeline="aspects",state="succeeded"} 3.0' in text
    assert 'willis_step_seconds_count{pipeline="aspects",step="predict"} 3.0' in text
    assert 'willis_step_seconds_sum{pipeline="aspects",step="read"} 6.0' in text
    assert 'willis_job_seconds_sum{lane="routine",pipeline="aspects"} 27.0' in text


def test_while_the_database_is_away_the_rest_is_shown(tmp_path):
    desk = FakeDesk(tmp_path)

    def away(*_arguments: object) -> None:
        raise DatabaseUnavailable("held")

    desk.queue.state = desk.queue.ended_since = away  # type: ignore[method-assign]

    text = page(metrics_of(desk))

    assert 'willis_ready{part="database"} 1.0' in text and "willis_workers 1" not in text


def test_a_part_that_is_not_ready_reads_zero(tmp_path):
    desk = FakeDesk(tmp_path, ends_as=JobState.RUNNING, ready=False)

    text = page(metrics_of(desk))

    assert 'willis_ready{part="broker"} 0.0' in text


def test_two_sets_of_metrics_live_side_by_side(tmp_path):
    desk = FakeDesk(tmp_path)
    first, second = (metrics_of(desk) for _ in range(2))

    first.observe_request("GET", "/jobs", 200, 0.1)

    assert "willis_http_requests_total{" in page(first)
    assert "willis_http_requests_total{" not in page(second)
