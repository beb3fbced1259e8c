"""Celery on the Redis that comes with the Python environment."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.toy_core import HandClock
from willis_models.errors import BrokerUnavailable, DestinationRefused, DestinationUnreachable
from willis_service.adapters.queue.celery_queue import CeleryQueue, build_celery, register_tasks
from willis_service.application.pulse import Pulse
from willis_service.domain.peers import Destination
from willis_service.supervisor import RedisServer, Restarts

PACS = Destination("PACS", "pacs", 104)


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with TemporaryDirectory() as folder:
        server = RedisServer(Path(folder) / "redis.sock", Path(folder) / "redis")
        server.start()
        _until_ready(server)
        yield server
        server.stop(5)


def _until_ready(server: RedisServer) -> None:
    for _ in range(200):
        if server.is_ready():
            return
        threading.Event().wait(0.02)
    raise AssertionError("Redis did not start.")


def queue_on(server: RedisServer) -> CeleryQueue:
    return CeleryQueue(build_celery(f"redis+socket://{server.socket}", 3600))


def test_messages_wait_in_the_broker_and_carry_ids_only(redis):
    queue = queue_on(redis)

    queue.put_analysis("job-1")
    queue.put_delivery("job-1", PACS)

    assert queue.depth() == 2


def test_what_waits_survives_the_end_of_redis(redis):
    queue_on(redis).put_analysis("job-1")

    redis.stop(5)
    redis.start()
    _until_ready(redis)

    assert queue_on(redis).depth() == 1


def test_without_a_broker_the_sender_hears_of_it_soon(tmp_path):
    queue = CeleryQueue(build_celery(f"redis+socket://{tmp_path}/nobody.sock", 3600))

    with pytest.raises(BrokerUnavailable):
        queue.put_analysis("job-1")
    with pytest.raises(BrokerUnavailable):
        queue.depth()


def test_only_its_owner_can_reach_the_embedded_redis(redis):
    assert redis.socket.stat().st_mode & 0o077 == 0


def delivering(error: Exception) -> tuple[list[str], object]:
    app = build_celery("memory://", 3600)
    calls: list[str] = []

    def deliver(job_id: str, destination: Destination) -> None:
        calls.append(f"{job_id} {destination}")
        raise error

    register_tasks(app, calls.append, deliver, delivery_attempts=3)
    return calls, app.tasks["willis.deliver"]


def test_a_destination_that_is_away_is_tried_again_and_not_for_ever():
    calls, task = delivering(DestinationUnreachable("down"))

    result = task.apply(args=["job-1", str(PACS)])

    assert calls == [f"job-1 {PACS}"] * 3
    assert isinstance(result.result, DestinationUnreachable)


def test_a_destination_that_refuses_is_not_tried_again():
    calls, task = delivering(DestinationRefused("no"))

    result = task.apply(args=["job-1", str(PACS)])

    assert calls == [f"job-1 {PACS}"]
    assert isinstance(result.result, DestinationRefused)


def test_a_child_that_keeps_dying_is_started_after_ever_longer_pauses():
    restarts, waits, now = Restarts(), [], 100.0
    for _ in range(8):
        restarts.note_start(now)
        died = now
        while not restarts.is_due(now):
            now += 0.25
        waits.append(now - died)

    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_a_child_that_ran_well_is_started_soon_again():
    restarts = Restarts(pause_s=30.0)
    restarts.note_start(100.0)

    assert not restarts.is_due(200.0)
    assert restarts.is_due(200.5)


HUNG = """
import time
from datetime import datetime, UTC
from willis_service.application.pulse import Pulse
clock = lambda: datetime.now(UTC)
with Pulse("w", (), None, None, clock, interval_s=1, deadline_s=0.1, grace_s=0.1)(None):
    time.sleep(30)
"""


def test_a_run_that_hangs_takes_its_process_down_and_leaves_the_stack():
    ended = subprocess.run([sys.executable, "-c", HUNG], capture_output=True, timeout=20)

    assert ended.returncode == 1
    assert b"Timeout" in ended.stderr and b"line 7" in ended.stderr


class _Signs:
    """Where beats go: counts them, and fails the first one."""

    def __init__(self) -> None:
        self.beats: list[object] = []
        self.enough = threading.Event()

    def sign_in(self, worker_id: str, models: object, now: object) -> None:
        self.beats.append("in")

    def sign_out(self, worker_id: str) -> None:
        self.beats.append("out")

    def beat(self, who: object, now: object) -> None:
        self.beats.append(who)
        if len(self.beats) == 2:
            raise OSError("the database was away for a moment")
        if len(self.beats) > 4:
            self.enough.set()


def test_a_worker_beats_from_sign_in_to_sign_out_and_gets_over_a_missed_beat():
    signs = _Signs()
    pulse = Pulse("w1", (), signs, signs, HandClock(), interval_s=0.01, deadline_s=60)

    pulse.start()
    assert signs.enough.wait(5)
    pulse.stop()

    assert (signs.beats[0], signs.beats[-1]) == ("in", "out")
