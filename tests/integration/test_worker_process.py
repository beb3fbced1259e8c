"""Real worker processes on a real Redis, and what happens to both: everything ends, once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest
from redis import Redis

from tests.synthetic_ct import write_ct_series
from tests.toy_pipeline import NAME, toy_pipelines, write_toy_bundle
from willis_models.errors import BrokerUnavailable
from willis_service.bootstrap.core import build_core, clock
from willis_service.bootstrap.keeping import reconciler_of
from willis_service.domain.job import Job, JobOrder, JobState, Priority
from willis_service.settings import load_settings
from willis_service.supervisor import RedisServer

# A busy machine may keep a healthy worker from beating for seconds. Only where a worker is to be
# given up does a test call for less patience.
CALM = {"worker_lost_after_s": "20", "worker_stalled_after_s": "16"}
HASTY = {"worker_lost_after_s": "4", "worker_stalled_after_s": "4"}
START_S = 120.0
SETTINGS = {
    "retry_pause_s": "0",
    "disk_reserve_mb": "1",
    "threads": "1",
}


@dataclass
class Plant:
    """A Redis, a database and a keeper's reconciler; workers come and go."""

    folder: Path
    repository: Path
    redis: RedisServer
    patience: dict[str, str]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        write_toy_bundle(self.folder / "bundles")
        self.given = {
            "data_dir": str(self.folder / "data"),
            "bundle_root": str(self.folder / "bundles"),
            "require_signature": "false",
            "broker_url": f"redis+socket://{self.redis.socket}",
            **SETTINGS,
            **self.patience,
        }
        self.core = build_core(load_settings({}, **self.given), toy_pipelines)
        files = write_ct_series(self.folder / "data" / "ct", shape=(12, 32, 32))
        self.inputs = tuple(str(file.relative_to(self.folder / "data")) for file in files)

    def order(self, number: int, priority: Priority = Priority.ROUTINE) -> str:
        bundle = self.core.bundles.current(NAME)
        study, fingerprint = f"1.2.{number}", f"{number:064x}"
        order = JobOrder(study, NAME, bundle, fingerprint, self.inputs, priority)
        return self.core.routing.place(order).id

    def work(self, seconds: float = 0.0, manner: str = "") -> subprocess.Popen[bytes]:
        """Start a worker, ready to work when this returns."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("WILLIS_")}
        environment |= {f"WILLIS_{name.upper()}": value for name, value in self.given.items()}
        before = self.present()
        with (self.folder / "worker.log").open("ab") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "tests.toy_worker", str(seconds), manner],
                cwd=self.repository,
                env=environment,
                stdout=log,
                stderr=log,
            )
        self.workers.append(worker)
        until(lambda: self.present() > before, START_S)
        return worker

    def present(self) -> int:
        state = self.core.queue_report.state(clock(), timedelta(seconds=60))
        return state.workers

    def job(self, job_id: str) -> Job:
        return self.core.jobs.get(job_id)

    def runs(self, job_id: str) -> bool:
        return self.job(job_id).step == "prepare"

    def all_end(self, ids: list[str]) -> list[Job]:
        until(lambda: all(self.job(one).state.is_final for one in ids))
        return [self.job(one) for one in ids]

    def editions(self, job_id: str) -> set[str]:
        return {path.name for path in (self.core.results.root / job_id).iterdir()}

    def close(self) -> None:
        for worker in self.workers:
            if worker.poll() is None:
                worker.kill()
            worker.wait()
        self.core.database.close()


def until(is_so: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            raise AssertionError(f"Not so within {seconds} s.")
        time.sleep(0.02)


@contextmanager
def reconciling(plant: Plant) -> Iterator[None]:
    """The keeper's part, in short rounds."""
    made, stop = reconciler_of(plant.core), threading.Event()
    reconcile = replace(made, hint_age=timedelta(seconds=1))

    def rounds() -> None:
        while not stop.wait(0.2):
            # As the keeper does: what fails now may not fail in the next round.
            with suppress(BrokerUnavailable):
                reconcile()

    thread = threading.Thread(target=rounds)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def staffed(plant: Plant, seconds: float) -> Iterator[None]:
    """There is always a worker: one that leaves is replaced, as the supervisor does."""
    worker, stop = plant.work(seconds), threading.Event()

    def replace_worker() -> None:
        current = worker
        while not stop.wait(0.1):
            if current.poll() is not None:
                current = plant.work(seconds)

    thread = threading.Thread(target=replace_worker)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def opened(folder: Path, repository: Path, patience: dict[str, str]) -> Iterator[Plant]:
    # A unix socket's address is short, and pytest's folders are not.
    with TemporaryDirectory() as short:
        redis = RedisServer(Path(short) / "redis.sock", folder / "redis")
        redis.start()
        until(redis.is_ready)
        made = Plant(folder, repository, redis, patience)
        try:
            yield made
        finally:
            made.close()
            redis.kill()


@pytest.fixture
def plant(tmp_path: Path, repository: Path) -> Iterator[Plant]:
    with opened(tmp_path, repository, CALM) as made:
        yield made


@pytest.fixture
def hasty_plant(tmp_path: Path, repository: Path) -> Iterator[Plant]:
    with opened(tmp_path, repository, HASTY) as made:
        yield made


def flush(plant: Plant) -> None:
    with Redis(unix_socket_path=str(plant.redis.socket)) as client:
        client.flushall()


def restart(plant: Plant) -> None:
    plant.redis.end()
    until(lambda: not plant.redis.is_ready())
    until(lambda: not plant.redis.is_alive())
    plant.redis.start()


def kill_and_start(plant: Plant) -> None:
    plant.redis.kill()
    time.sleep(1)
    plant.redis.start()


def pause(plant: Plant) -> None:
    process = psutil.Process(plant.redis._process.pid)
    process.suspend()
    time.sleep(2)
    process.resume()


@pytest.mark.slow
@pytest.mark.parametrize("disturb", [flush, restart, kill_and_start, pause])
def test_whatever_happens_to_redis_every_job_ends_and_is_run_once(plant, disturb):
    with staffed(plant, 0.5):
        first = plant.order(1)
        until(lambda: plant.runs(first))
        rest = [plant.order(number) for number in range(2, 5)]

        disturb(plant)
        with reconciling(plant):
            ended = plant.all_end([first, *rest])

    assert [(job.state, job.attempts) for job in ended] == [(JobState.SUCCEEDED, 1)] * 4
    assert [plant.editions(job.id) for job in ended] == [{"1"}] * 4


@pytest.mark.slow
def test_a_worker_that_was_paused_and_comes_back_publishes_nothing(hasty_plant):
    paused = hasty_plant.work(1.0)
    job_id = hasty_plant.order(1)
    until(lambda: hasty_plant.runs(job_id))
    paused.send_signal(signal.SIGSTOP)

    with reconciling(hasty_plant):
        hasty_plant.work(0.0)
        (job,) = hasty_plant.all_end([job_id])
        paused.send_signal(signal.SIGCONT)
        until(lambda: "job_superseded" in (hasty_plant.folder / "worker.log").read_text())

    assert (job.state, job.token > 1) == (JobState.SUCCEEDED, True)
    assert hasty_plant.job(job_id) == job
    assert hasty_plant.editions(job_id) == {str(job.token)}


@pytest.mark.slow
def test_a_study_that_ends_its_workers_is_parked_and_the_others_go_on(hasty_plant):
    deadly = hasty_plant.order(1)
    with reconciling(hasty_plant):
        for _ in range(3):
            # The next one starts while the end of the one before is still to be noticed.
            hasty_plant.work(0.0, "deadly").wait(90)
        until(lambda: hasty_plant.job(deadly).state is not JobState.RUNNING)
        hasty_plant.work(0.0)
        (healthy,) = hasty_plant.all_end([hasty_plant.order(2)])

    parked = hasty_plant.job(deadly)
    assert (parked.is_parked, parked.attempts) == (True, 3)
    assert healthy.state is JobState.SUCCEEDED


@pytest.mark.slow
def test_a_worker_that_is_connected_and_consumes_nothing_leaves(hasty_plant):
    deaf = hasty_plant.work(0.0, "deaf")
    present = hasty_plant.present()

    code = deaf.wait(90)

    assert (present, code, hasty_plant.present()) == (1, os.EX_TEMPFAIL, 0)
    assert "worker_consumes_nothing" in (hasty_plant.folder / "worker.log").read_text()


@pytest.mark.slow
def test_an_idle_worker_outlives_a_redis_that_is_flushed_and_restarted_under_it(plant):
    worker = plant.work()
    flush(plant)
    restart(plant)
    until(plant.redis.is_ready)

    (job,) = plant.all_end([plant.order(1)])

    assert (worker.poll(), job.state) == (None, JobState.SUCCEEDED)


@pytest.mark.slow
def test_a_second_sigterm_gives_the_job_back_at_no_cost_to_the_study(plant):
    worker = plant.work(30)
    job_id = plant.order(1)
    until(lambda: plant.runs(job_id))

    worker.terminate()
    time.sleep(0.5)
    after_one = worker.poll()
    worker.terminate()
    worker.wait(10)

    job = plant.job(job_id)
    assert after_one is None
    assert (job.state, job.attempts, job.token) == (JobState.QUEUED, 0, 1)


@pytest.mark.slow
def test_a_worker_runs_the_urgent_job_next_and_forks_nothing(plant):
    worker = plant.work(0.3)
    routine = [plant.order(number) for number in range(3)]
    until(lambda: plant.runs(routine[0]))
    children = psutil.Process(worker.pid).children()

    urgent = plant.order(9, Priority.URGENT)
    with reconciling(plant):
        ended = plant.all_end([*routine, urgent])

    in_order = [job.id for job in sorted(ended, key=lambda job: job.started_at)]
    assert in_order == [routine[0], urgent, *routine[1:]]
    assert children == []
