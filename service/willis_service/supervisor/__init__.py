"""Embedded operation: receivers, keeper, API, workers and a Redis of their own under one parent.

A child that dies is started again, after a pause that grows while it keeps dying. SIGTERM or SIGINT
stops all: first what takes work in, then the workers when their job has ended, Redis last. A second
signal makes the workers give their job back at once.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

from willis_service.adapters.storage.database import migrate, open_database
from willis_service.adapters.telemetry.logs import configure_logs
from willis_service.settings import Settings, api_key_path, ensure_api_key
from willis_service.shipped import PipelineSource, shipped_pipelines
from willis_service.supervisor.children import Child, RedisServer, RoleProcess

__all__ = ["Child", "RedisServer", "Restarts", "RoleProcess", "Supervisor", "run_all"]

_LOG = structlog.get_logger(__name__)
_ROUND_S = 0.1
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_SETTLED_AFTER_S = 60.0
_STOP_S = 15.0
_LET_GO_S = 5.0

Announce = Callable[[str], None]
Stages = Sequence[Sequence[Child]]
"""Children in the order of their start; those of one stage are stopped together."""


@dataclass
class Restarts:
    """When a child that died may start again."""

    pause_s: float = _FIRST_PAUSE_S
    started_at: float = 0.0
    due_at: float | None = None

    def note_start(self, now: float) -> None:
        """The child was started."""
        self.started_at, self.due_at = now, None

    def is_due(self, now: float) -> bool:
        """Whether the child, found dead now, is to be started; the pause grows each time."""
        if self.due_at is None:
            settled = now - self.started_at >= _SETTLED_AFTER_S
            self.pause_s = _FIRST_PAUSE_S if settled else self.pause_s
            self.due_at = now + self.pause_s
            self.pause_s = min(self.pause_s * 2, _LONGEST_PAUSE_S)
        return now >= self.due_at


@dataclass
class Supervisor:
    """Keeps children alive until it is told to stop; ``hurry`` cuts the stopping short."""

    stages: Stages
    announce: Announce
    ready_text: str
    drain_s: float
    stop: threading.Event = field(default_factory=threading.Event)
    hurry: threading.Event = field(default_factory=threading.Event)
    _restarts: dict[str, Restarts] = field(default_factory=dict)

    @property
    def children(self) -> Sequence[Child]:
        """All of them, in the order of their start."""
        return [child for stage in self.stages for child in stage]

    def run(self) -> None:
        """Start all, say when all are ready, and start again what dies."""
        was_ready = False
        try:
            for child in self.children:
                self._start(child)
            while not self.stop.wait(_ROUND_S):
                self._revive()
                if not was_ready and all(child.is_ready() for child in self.children):
                    was_ready = True
                    self.announce(self.ready_text)
        finally:
            self._stop_all()

    def tell_to_stop(self) -> None:
        """Stop; told twice, in a hurry."""
        if self.stop.is_set():
            self.hurry.set()
        self.stop.set()

    def _start(self, child: Child) -> None:
        self._restarts.setdefault(child.name, Restarts()).note_start(time.monotonic())
        child.start()

    def _revive(self) -> None:
        for child in self.children:
            if not child.is_alive() and self._restarts[child.name].is_due(time.monotonic()):
                _LOG.error("child_died", child=child.name)
                self._start(child)

    def _stop_all(self) -> None:
        _LOG.info("stopping")
        for stage in reversed(self.stages):
            self._stop(stage)
        _LOG.info("stopped")

    def _stop(self, stage: Sequence[Child]) -> None:
        """All of a stage at once: while one worker ends its job, another must not start one."""
        if self._have_ended(stage, self.drain_s, cut_short=True):
            return
        if not self._have_ended(stage, _LET_GO_S, cut_short=False):
            for child in stage:
                if child.is_alive():
                    _LOG.error("child_killed", child=child.name)
                    child.kill()

    def _have_ended(self, stage: Sequence[Child], patience_s: float, cut_short: bool) -> bool:
        """Ask all to end and wait; whether they have in time."""
        for child in stage:
            child.end()
        over_s = time.monotonic() + patience_s
        while any(child.is_alive() for child in stage):
            is_cut_short = cut_short and self.hurry.is_set()
            if is_cut_short or time.monotonic() > over_s:
                return False
            time.sleep(_ROUND_S / 2)
        return True


def _print(text: str) -> None:
    os.write(1, (text + "\n").encode())


def run_all(
    settings: Settings,
    source: PipelineSource = shipped_pipelines,
    announce: Announce = _print,
) -> None:
    """Run the whole service until SIGTERM or SIGINT. ``announce`` is told when it is ready."""
    configure_logs(settings.log_level, settings.log_format)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    ensure_api_key(settings)
    database = open_database(settings.effective_database_url)
    migrate(database)
    database.close()
    drain_s = settings.effective_drain_s + _STOP_S
    stages = [stage for stage in _stages(settings, source) if stage]
    supervisor = Supervisor(stages, announce, _ready_text(settings), drain_s)
    with _signals(supervisor.tell_to_stop):
        supervisor.run()


def _stages(settings: Settings, source: PipelineSource) -> Stages:
    def role(name: str, number: int | None = None, **environment: str) -> Child:
        shown = name if number is None else f"{name}-{number}"
        return RoleProcess(shown, name, settings, source, environment)

    # Stopped in the reverse order: first nothing new comes in, then the workers end their job.
    return [
        _redis(settings),
        # Before the workers, so that what they finish last still leaves.
        [role("courier")],
        [role("worker", n, **gpu_of(settings.gpus, n)) for n in range(1, settings.workers + 1)],
        [role("keeper"), role("api")],
        [role("receiver", n) for n in range(1, settings.receivers + 1)],
    ]


def _redis(settings: Settings) -> Sequence[Child]:
    if not settings.uses_embedded_broker:
        return []
    return [RedisServer(settings.redis_socket, settings.data_dir / "redis")]


def gpu_of(gpus: Sequence[str], number: int) -> dict[str, str]:
    """What lets the worker of this number, from 1, see one GPU alone; they take them in turn."""
    return {"CUDA_VISIBLE_DEVICES": gpus[(number - 1) % len(gpus)]} if gpus else {}


def _ready_text(settings: Settings) -> str:
    key = "WILLIS_API_KEY" if settings.api_key is not None else str(api_key_path(settings))
    senders = ", ".join(map(str, settings.allowed_ae_titles)) or "nobody (WILLIS_ALLOWED_AE_TITLES)"
    ports = [f"{settings.dicom_port}"] if settings.dicom_port else []
    ports += [f"{settings.dicom_tls_port} (TLS)"] if settings.dicom_tls_port else []
    return (
        "Willis is ready.\n"
        f"  DICOM    {settings.ae_title}@{settings.dicom_bind}:{' and '.join(ports)}"
        f", taking from {senders}\n"
        f"  REST     http://{settings.http_bind}:{settings.http_port}, API key in {key}\n"
        f"  results  {settings.data_dir / 'results'}"
    )


@contextmanager
def _signals(tell_to_stop: Callable[[], None]) -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda *_: tell_to_stop()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
