"""A service of its own in a temporary folder, as ``willis serve`` runs it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from benchmarks.memory import peak_mb
from willis_service.bootstrap.core import Core, build_core
from willis_service.commands.demo import free_ports
from willis_service.domain.peers import Destination
from willis_service.settings import DEFAULT_CALLING_AE_TITLE, load_settings

QUIET_S = 1.0
START_LIMIT_S, STOP_LIMIT_S = 120.0, 30.0
_SERVE = (sys.executable, "-m", "willis_service.cli", "serve")
_RECEIVE = (
    "from willis_service.roles import run_receiver; "
    "from willis_service.settings import load_settings; run_receiver(load_settings())"
)
RECEIVER_ONLY = (sys.executable, "-c", _RECEIVE)


@dataclass(frozen=True)
class Running:
    """A service that runs: how to send to it, and a view into its database."""

    process: subprocess.Popen[bytes]
    dicom: Destination
    core: Core

    def count_instances(self) -> int:
        """How many instances of open studies the database knows."""
        watch, index = self.core.studies, self.core.studies
        return sum(len(index.instances(s.study_instance_uid)) for s in watch.open_studies())

    def worker_peak_mb(self) -> float:
        """Largest memory that a process below the supervisor ever had resident."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return max(peak_mb(str(child.pid)) for child in children)


@contextmanager
def running_service(
    folder: Path, command: Sequence[str] = _SERVE, quiet_s: float = QUIET_S
) -> Iterator[Running]:
    """Start the service, wait until it is ready, stop it in the end."""
    http_port, dicom_port = free_ports(2)
    given = {
        "data_dir": str(folder / "data"),
        "http_port": str(http_port),
        "dicom_port": str(dicom_port),
        "quiet_period_s": str(quiet_s),
        "allowed_ae_titles": f"{DEFAULT_CALLING_AE_TITLE},STORESCU",
        "disk_reserve_mb": "100",
    }
    log = folder / "service.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(command, env=_environment(given), stdout=stream, stderr=stream)
    try:
        ready = _listens(dicom_port) if command is not _SERVE else _is_ready(http_port)
        wait_until(lambda: _alive(process, log) and ready(), START_LIMIT_S)
        core = build_core(load_settings({}, data_dir=folder / "data"))
        yield Running(process, Destination("WILLIS", "127.0.0.1", dicom_port), core)
        core.database.close()
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the supervisor to end; what is left of it and its children afterwards is killed."""
    if process.poll() is not None:
        return
    supervisor = psutil.Process(process.pid)
    family = [supervisor, *supervisor.children(recursive=True)]
    process.terminate()
    _, alive = psutil.wait_procs(family, STOP_LIMIT_S)
    for one in alive:
        one.kill()
    process.wait(STOP_LIMIT_S)


def _environment(given: dict[str, str]) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("WILLIS_")}
    return clean | {f"WILLIS_{name.upper()}": value for name, value in given.items()}


def wait_until(is_done: Callable[[], bool], limit_s: float) -> None:
    """Poll every 50 ms."""
    end = time.monotonic() + limit_s
    while not is_done():
        if time.monotonic() > end:
            raise TimeoutError(f"Not done after {limit_s:.0f} s.")
        time.sleep(0.05)


def _alive(process: subprocess.Popen[bytes], log: Path) -> bool:
    if process.poll() is not None:
        tail = log.read_text(errors="replace")[-2000:]
        raise RuntimeError(f"The service ended with code {process.returncode}:\n{tail}")
    return True


def _is_ready(http_port: int) -> Callable[[], bool]:
    def ask() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{http_port}/readyz", timeout=10).is_success
        except httpx.TransportError:
            return False

    return ask


def _listens(port: int) -> Callable[[], bool]:
    def ask() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    return ask
