"""Celery on the Redis that comes with the Python environment."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest
from redis import Redis

from tests.hand_clock import HandClock
from willis_models.errors import BrokerUnavailable
from willis_service.adapters.queue.celery_queue import CeleryQueue, build_celery
from willis_service.application.pulse import Pulse
from willis_service.supervisor import RedisServer


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with TemporaryDirectory() as folder:
        server = RedisServer(Path(folder) / "redis.sock", Path(folder) / "redis")
        server.start()
        _until_ready(server)
        yield server
        server.kill()


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
    queue.put_analysis("job-2")

    assert queue.depth() == 2


def test_what_a_worker_sends_itself_is_no_work_that_waits(redis):
    queue = queue_on(redis)

    queue.put_canary("worker-1")

    assert queue.depth() == 0


def test_a_sender_reaches_the_queue_after_redis_was_emptied_under_it(redis):
    queue = queue_on(redis)
    queue.put_analysis("job-1")
    with Redis(unix_socket_path=str(redis.socket)) as client:
        client.flushall()

    queue.put_analysis("job-2")

    assert queue.depth() == 1


def test_a_redis_that_hangs_is_heard_of_in_time_by_who_sends(redis):
    queue = queue_on(redis)
    queue.put_analysis("job-1")
    process = psutil.Process(redis._process.pid)
    process.suspend()
    try:
        start = time.monotonic()
        with pytest.raises(BrokerUnavailable):
            queue.put_analysis("job-2")
    finally:
        process.resume()

    assert time.monotonic() - start < 30


def test_what_waits_survives_the_end_of_redis(redis):
    queue_on(redis).put_analysis("job-1")

    redis.end()
    for _ in range(200):
        if not redis.is_alive():
            break
        threading.Event().wait(0.02)
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

    def beat(self, who: object, now: object, ran_s: float = 0.0) -> None:
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
