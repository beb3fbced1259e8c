"""The embedded service as ``willis serve`` runs it, with the handles that faults pull."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.chaos.sink import Confirmations
from tests.chaos.waiting import until
from tests.toy_pipeline import write_toy_bundle
from willis_service.commands.demo import free_ports
from willis_service.settings import Settings, load_settings

REPOSITORY = Path(__file__).resolve().parents[2]
# Generous: a loaded machine takes minutes for what takes an idle one seconds.
START_LIMIT_S, STOP_LIMIT_S = 300.0, 120.0
ROLES = ("receiver", "keeper", "worker", "courier", "api")
TOY_SERVICE = (sys.executable, "-m", "tests.chaos.service")
SHIPPED_SERVICE = (sys.executable, "-m", "willis_service.cli", "serve")
_BRISK = {
    "quiet_period_s": "0.5",
    "settle_period_s": "0.3",
    "poll_interval_s": "0.1",
    "retry_pause_s": "1",
    "worker_lost_after_s": "3",
    "disk_reserve_mb": "1",
    "threads": "1",
    "allowed_ae_titles": "*",
}


@dataclass
class Rig:
    """A service in a folder of its own: its settings, and what else is in its environment."""

    folder: Path
    given: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    command: Sequence[str] = TOY_SERVICE
    sink: Confirmations | None = None
    """The archive that gets its results."""
    process: subprocess.Popen[bytes] | None = None
    port: int = 0
    http_port: int = 0

    @property
    def data(self) -> Path:
        """The data folder of the service."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """Everything that the service wrote to standard error."""
        return self.folder / "service.log"

    def start(self) -> None:
        """Start, or start again on the same data and ports; wait until it is ready."""
        if not self.port:
            self.port, self.http_port = free_ports(2)
        if not (self.folder / "bundles").exists():
            write_toy_bundle(self.folder / "bundles")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=REPOSITORY,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.wait_ready(START_LIMIT_S)

    def stop(self) -> int:
        """SIGTERM, as an operator stops it; the exit code. Nothing of it is left afterwards."""
        if self.process is None:
            return 0
        family = self.family()
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_LIMIT_S)
        finally:
            for one in family:
                with suppress(psutil.NoSuchProcess):
                    one.kill()
            self.process.wait()

    def family(self) -> list[psutil.Process]:
        """The supervisor and everything below it."""
        if self.process is None:
            return []
        with suppress(psutil.NoSuchProcess):
            supervisor = psutil.Process(self.process.pid)
            return [supervisor, *supervisor.children(recursive=True)]
        return []

    def role(self, name: str) -> psutil.Process:
        """The live process of this role (the first one). Raises LookupError."""
        wanted = "redis-server" if name == "redis" else f"willis-{name}"
        for one in self.family()[1:]:
            with suppress(psutil.NoSuchProcess):
                if one.name() == wanted and one.status() != psutil.STATUS_ZOMBIE:
                    return one
        raise LookupError(f"No process {wanted} runs.")

    def kill(self, name: str) -> None:
        """SIGKILL, with no chance to tidy up."""
        self.role(name).kill()

    def kill_all(self) -> None:
        """SIGKILL to every process at once."""
        family = self.family()
        for one in family:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(family[1:], timeout=STOP_LIMIT_S)
        assert self.process is not None
        self.process.wait()

    def kill_supervisor(self) -> None:
        """SIGKILL to the parent; returns when all of its children are gone too."""
        family = self.family()
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        _, left = psutil.wait_procs(family[1:], timeout=STOP_LIMIT_S)
        names = [one.name() for one in left]
        for one in left:
            one.kill()
        if left:
            raise AssertionError(f"These outlived their supervisor: {names}.")

    def get(self, path: str) -> httpx.Response:
        """Ask the API, with its key."""
        return self._ask("GET", path)

    def post(self, path: str, **given: Any) -> httpx.Response:
        """Post to the API, with its key; ``given`` is what httpx takes."""
        return self._ask("POST", path, **given)

    def _ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        key = (self.data / "api-key").read_text().strip()
        headers = {"X-API-Key": key, **given.pop("headers", {})}
        url = f"http://127.0.0.1:{self.http_port}{path}"
        return httpx.request(method, url, headers=headers, timeout=60, **given)

    def is_ready(self) -> bool:
        """Whether every part says that it is."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.http_port}/readyz", timeout=60).is_success
        except httpx.TransportError:
            return False

    def wait_ready(self, limit_s: float = START_LIMIT_S) -> None:
        """Wait until the service says that it can take a study, and listens for one."""

        def ready() -> bool:
            if self.process is not None and self.process.poll() is not None:
                raise AssertionError(f"The service ended:\n{self.tail()}")
            return self.is_ready() and self.echoes()

        until(ready, limit_s, lambda: f"ready\n{self.tail()}")

    def echoes(self) -> bool:
        """Whether dcmtk's C-ECHO is answered."""
        command = ["echoscu", "-to", "10", "-aet", "PROBE", "-aec", "WILLIS"]
        peer = ["127.0.0.1", str(self.port)]
        return subprocess.run([*command, *peer], capture_output=True, check=False).returncode == 0

    def tail(self, characters: int = 6000) -> str:
        """The end of the log."""
        return self.log.read_text(errors="replace")[-characters:]

    def _environment(self) -> dict[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("WILLIS_")}
        own = _BRISK | {
            "data_dir": str(self.data),
            "bundle_root": str(self.folder / "bundles"),
            "require_signature": "false",
            "dicom_port": str(self.port),
            "http_port": str(self.http_port),
            **({"result_destinations": self.sink.destination} if self.sink else {}),
            **self.given,
        }
        # A machine of two cores must not run two thread pools against each other.
        return {
            **clean,
            "OMP_NUM_THREADS": "1",
            **self.environment,
            **{f"WILLIS_{name.upper()}": value for name, value in own.items()},
        }


def settings_of(rig: Rig) -> Settings:
    """The settings that say where the service keeps its things."""
    return load_settings({}, data_dir=rig.data)
