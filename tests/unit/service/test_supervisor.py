"""Who is started again, who is stopped when, and what goes when the supervisor goes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

from willis_service.settings import load_settings
from willis_service.supervisor import RedisServer, Restarts, Supervisor, children, gpu_of, run_all


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


@dataclass
class FakeChild:
    """Ends when it was asked to often enough, or killed."""

    name: str
    log: list[str]
    ends_after: int = 1
    asked: int = 0
    alive: bool = False

    def start(self) -> None:
        self.alive, self.asked = True, 0
        self.log.append(f"start {self.name}")

    def is_alive(self) -> bool:
        return self.alive

    def is_ready(self) -> bool:
        return self.alive

    def end(self) -> None:
        self.asked += 1
        self.log.append(f"end {self.name}")
        if self.asked >= self.ends_after:
            self.alive = False

    def kill(self) -> None:
        self.alive = False
        self.log.append(f"kill {self.name}")


@dataclass
class Running:
    """A supervisor over fake children, in a thread."""

    stages: list[list[FakeChild]]
    drain_s: float = 30.0
    announced: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.supervisor = Supervisor(self.stages, self.announced.append, "ready", self.drain_s)
        self.thread = threading.Thread(target=self.supervisor.run)
        self.thread.start()
        until(lambda: self.announced == ["ready"])

    def ends(self) -> bool:
        self.thread.join(10)
        return not self.thread.is_alive()


def until(is_so: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_what_takes_work_in_stops_first_and_a_stage_stops_together():
    log: list[str] = []
    stages = [["redis"], ["worker-1", "worker-2"], ["receiver"]]
    running = Running([[FakeChild(name, log) for name in stage] for stage in stages])
    log.clear()

    running.supervisor.tell_to_stop()

    assert running.ends()
    assert log == ["end receiver", "end worker-1", "end worker-2", "end redis"]


def test_a_second_word_makes_a_worker_let_its_job_go():
    log: list[str] = []
    running = Running([[FakeChild("worker", log, ends_after=2)]])
    running.supervisor.tell_to_stop()
    until(lambda: "end worker" in log)

    running.supervisor.tell_to_stop()

    assert running.ends()
    assert log == ["start worker", "end worker", "end worker"]


def test_a_worker_that_does_not_end_in_time_is_asked_again_and_then_killed(monkeypatch):
    monkeypatch.setattr("willis_service.supervisor._LET_GO_S", 0.1)
    log: list[str] = []
    running = Running([[FakeChild("worker", log, ends_after=99)]], drain_s=0.1)

    running.supervisor.tell_to_stop()

    assert running.ends()
    assert log == ["start worker", "end worker", "end worker", "kill worker"]


def test_a_child_that_dies_is_started_again():
    log: list[str] = []
    child = FakeChild("worker", log)
    running = Running([[child]])

    child.alive = False
    until(lambda: log.count("start worker") == 2)
    running.supervisor.tell_to_stop()

    assert running.ends()


def test_workers_take_the_gpus_in_turn_and_see_one_each():
    seen = [gpu_of(("0", "1"), number).get("CUDA_VISIBLE_DEVICES") for number in (1, 2, 3)]

    assert seen == ["0", "1", "0"]
    assert gpu_of((), 1) == {}
    assert load_settings({}, gpus="0, 1").gpus == ("0", "1")


def test_roles_start_in_fresh_processes_that_inherit_nothing():
    assert children._SPAWN.get_start_method() == "spawn"
    assert run_all.__module__ == "willis_service.supervisor"


_KEEPS_REDIS = """
import sys, time
from pathlib import Path
from willis_service.supervisor import RedisServer
folder = Path(sys.argv[1])
server = RedisServer(folder / "redis.sock", folder / "redis")
server.start()
while not server.is_ready():
    time.sleep(0.01)
print(server._process.pid, flush=True)
time.sleep(60)
"""


def test_redis_does_not_outlive_a_supervisor_that_was_killed():
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-c", _KEEPS_REDIS, folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
            assert parent.stdout is not None
            redis = psutil.Process(int(parent.stdout.readline()))
            parent.send_signal(signal.SIGKILL)

        until(lambda: not redis.is_running() or redis.status() == psutil.STATUS_ZOMBIE)


@pytest.fixture
def redis():
    with TemporaryDirectory() as folder:
        server = RedisServer(Path(folder) / "redis.sock", Path(folder) / "redis")
        server.start()
        until(server.is_ready)
        yield server
        server.kill()


def test_a_redis_that_hangs_is_killed_so_that_it_is_started_again(redis, monkeypatch):
    monkeypatch.setattr(children, "_REDIS_HANGS_AFTER_S", 0.2)
    monkeypatch.setattr(children, "_ASK_REDIS_EVERY_S", 0.05)
    assert redis.is_alive()
    os.kill(redis._process.pid, signal.SIGSTOP)

    until(lambda: not redis.is_alive())

    redis.start()
    until(redis.is_ready)
    assert redis.is_alive()
