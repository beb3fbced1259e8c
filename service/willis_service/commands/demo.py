"""``willis demo``: the whole way once, from C-STORE to the report, on a service of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import redis

from willis_models.errors import DeadlineExceeded, NoSuitableSeries, ServiceError
from willis_models.findings import Findings
from willis_service.commands.console import STEPS, err, print_files, print_findings, step_bar
from willis_service.commands.demo_study import demo_study
from willis_service.commands.exit_codes import ExitCode
from willis_service.commands.send import dicom_series, files_of, send_files
from willis_service.domain.job import DICOM_MAPS, JobState, ResultKind
from willis_service.domain.peers import Destination
from willis_service.settings import DEFAULT_CALLING_AE_TITLE, Settings, api_key_path

SERVE = (sys.executable, "-m", "willis_service.cli", "serve")
START_LIMIT_S = 120.0
JOB_LIMIT_S = 900.0
STOP_LIMIT_S = 30.0
_POLL_S = 0.3
_KEPT = frozenset({"WILLIS_BUNDLE_ROOT", "WILLIS_TRUSTED_KEYS", "WILLIS_REQUIRE_SIGNATURE"})
_LINKS = {"findings": ResultKind.FINDINGS, "seg": ResultKind.SEG, "sr": ResultKind.SR}
_LINKS |= DICOM_MAPS
_LINKS |= {"report": ResultKind.REPORT, "picture": ResultKind.PICTURE}


@dataclass(frozen=True)
class Service:
    """The demo's own embedded service: how to reach it."""

    api: httpx.Client
    dicom: Destination
    log: Path


def demo(
    study: Path | None, pipeline: str, folder: Path, command: Sequence[str] = SERVE
) -> ExitCode:
    """Start a service with ``command``, send it the study, wait, and print what it found.

    Without a study: the one that is shipped for the pipeline or simulated on the spot.
    """
    if study is None:
        with demo_study(pipeline) as made:
            return demo(made, pipeline, folder, command)
    series = dicom_series(study)
    uids = {listing.study_instance_uid for listing in series}
    if len(uids) != 1:
        raise NoSuitableSeries(f"The folder holds {len(uids)} studies: name the folder of one.")
    with _running_service(command) as service:
        send_files(files_of(series), service.dicom, DEFAULT_CALLING_AE_TITLE)
        job = _wait_for_job(service.api, uids.pop(), pipeline)
        return _show(service, job, folder)


def _show(service: Service, job: Mapping[str, Any], folder: Path) -> ExitCode:
    results = _fetch(service.api, job, folder)
    if job["error"] is not None and ResultKind.FINDINGS not in {path.name for path in results}:
        err().print(f"The job {job['state']}: {job['error']['code']}", style="bold red")
        err().print(job["error"]["message"], markup=False)
        return ExitCode.FAILURE
    findings = Findings.model_validate_json((folder / ResultKind.FINDINGS).read_bytes())
    print_findings(findings)
    print_files(results)
    return ExitCode.OK if job["state"] == JobState.SUCCEEDED else ExitCode.REJECTED


@contextmanager
def _running_service(command: Sequence[str]) -> Iterator[Service]:
    with tempfile.TemporaryDirectory(prefix="willis-demo-") as name:
        data = Path(name)
        http_port, dicom_port = free_ports(2)
        environment = _environment(data, http_port, dicom_port)
        log = data / "service.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                command, env=environment, stdout=stream, stderr=stream, start_new_session=True
            )
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{http_port}", timeout=30) as api:
                yield _connect(process, data, log, api, dicom_port)
        finally:
            _stop(process, Settings(data_dir=data).redis_socket)


def _environment(data: Path, http_port: int, dicom_port: int) -> dict[str, str]:
    # Settings of the caller's own installation would make the demo use its database or queue. Which
    # models run, and whose, is what one may want to see.
    clean = {k: v for k, v in os.environ.items() if not k.startswith("WILLIS_") or k in _KEPT}
    own = {
        "WILLIS_DATA_DIR": str(data),
        "WILLIS_HTTP_PORT": str(http_port),
        "WILLIS_DICOM_PORT": str(dicom_port),
        "WILLIS_QUIET_PERIOD_S": "2",
        "WILLIS_DISK_RESERVE_MB": "100",
    }
    return clean | own


def free_ports(count: int) -> list[int]:
    """Ports on which nothing listens now; all are held until the last one is known."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _connect(
    process: subprocess.Popen[bytes], data: Path, log: Path, api: httpx.Client, dicom_port: int
) -> Service:
    with err().status("Starting the service"):
        _wait_until(lambda: _is_ready(api, process, log), START_LIMIT_S, "The service to start")
    key = api_key_path(Settings(data_dir=data)).read_text().strip()
    api.headers["X-API-Key"] = key
    title = Settings.model_fields["ae_title"].default
    return Service(api, Destination(title, "127.0.0.1", dicom_port), log)


def _is_ready(api: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> bool:
    if process.poll() is not None:
        tail = log.read_text(errors="replace")[-2000:]
        raise ServiceError(f"The service ended with code {process.returncode}:\n{tail}")
    try:
        return api.get("/readyz").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _wait_for_job(api: httpx.Client, study_instance_uid: str, pipeline: str) -> Mapping[str, Any]:
    job: Mapping[str, Any] = {}

    with step_bar(("waiting", *STEPS)) as bar:

        def is_final() -> bool:
            nonlocal job
            job = _job_of(api, study_instance_uid, pipeline)
            bar(job.get("step") or "waiting")
            return bool(job.get("is_final"))

        _wait_until(is_final, JOB_LIMIT_S, "The analysis")
    return job


def _job_of(api: httpx.Client, study_instance_uid: str, pipeline: str) -> Mapping[str, Any]:
    jobs: list[dict[str, Any]] = api.get("/jobs").raise_for_status().json()["jobs"]
    wanted = (study_instance_uid, pipeline)
    return next((j for j in jobs if (j["study_instance_uid"], j["pipeline"]) == wanted), {})


def _wait_until(is_done: Callable[[], bool], limit_s: float, what: str) -> None:
    end = time.monotonic() + limit_s
    while not is_done():
        if time.monotonic() > end:
            raise DeadlineExceeded(f"{what} took longer than {limit_s:.0f} s.")
        time.sleep(_POLL_S)


def _fetch(api: httpx.Client, job: Mapping[str, Any], folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for link, kind in _LINKS.items():
        path = folder / kind
        path.unlink(missing_ok=True)
        if link in job["links"]:
            path.write_bytes(api.get(job["links"][link]).raise_for_status().content)
            paths.append(path)
    return paths


def _stop(process: subprocess.Popen[bytes], redis_socket: Path) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        # The other parts end with their parent; Redis has to be told.
        process.kill()
        process.wait()
        with suppress(redis.RedisError), redis.Redis(unix_socket_path=str(redis_socket)) as client:
            client.shutdown(nosave=True)
