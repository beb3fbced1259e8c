"""The embedded service as a user meets it: a process, a DICOM port, results on disk.

A study is sent by dcmtk's ``storescu``, so that nothing of ours is on both ends of the wire.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Timer

import httpx
import psutil
import pydicom
import pytest
from sqlalchemy import select

from tests.synthetic_ct import write_ct_series
from tests.toy_pipeline import write_toy_bundle
from willis_models.findings import Findings
from willis_service.adapters.storage.database import open_database
from willis_service.adapters.storage.jobs import SqlJobs
from willis_service.adapters.storage.results import ResultFolders
from willis_service.adapters.storage.studies import SqlStudies
from willis_service.adapters.storage.tables import WORKER
from willis_service.adapters.storage.workers import WORKING
from willis_service.domain.job import Job, JobState, ResultKind

pytestmark = pytest.mark.skipif(
    shutil.which("storescu") is None, reason="dcmtk is not installed (apt-get install dcmtk)"
)
SENDER = "SCANNER"


@dataclass
class Service:
    """A running service and what a test asks of it."""

    process: subprocess.Popen[bytes]
    data_dir: Path
    port: int
    http_port: int
    ready_text: str = ""

    def storescu(self, *files: Path, sender: str = SENDER) -> subprocess.CompletedProcess[bytes]:
        peer = ["127.0.0.1", str(self.port)]
        command = ["storescu", "-aet", sender, "-aec", "WILLIS", *peer, *map(str, files)]
        return subprocess.run(command, capture_output=True, timeout=60, check=False)

    def jobs(self) -> list[Job]:
        database = open_database(f"sqlite:///{self.data_dir / 'willis.sqlite'}")
        try:
            return list(SqlJobs(database).recent(10))
        finally:
            database.close()

    def conflicts(self, study_instance_uid: str) -> int:
        database = open_database(f"sqlite:///{self.data_dir / 'willis.sqlite'}")
        try:
            return SqlStudies(database).count_conflicts(study_instance_uid)
        finally:
            database.close()

    def wait_for(self, what: Callable[[Job], bool], seconds: float = 45) -> Job:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := [job for job in self.jobs() if what(job)]:
                return found[0]
            time.sleep(0.2)
        raise AssertionError(f"No such job after {seconds} s: {self.jobs()}")

    def result(self, job: Job, kind: ResultKind) -> Path:
        database = open_database(f"sqlite:///{self.data_dir / 'willis.sqlite'}")
        try:
            shelf = ResultFolders(self.data_dir / "results", SqlJobs(database).edition_of)
            return shelf.path(job.id, kind)
        finally:
            database.close()

    def worker(self) -> psutil.Process:
        """The child process that has signed in as a worker."""
        database = open_database(f"sqlite:///{self.data_dir / 'willis.sqlite'}")
        try:
            with database.read() as connection:
                query = select(WORKER.c.id).where(WORKER.c.role == WORKING)
                (worker_id,) = connection.execute(query).scalars()
        finally:
            database.close()
        return psutil.Process(int(worker_id.rpartition("-")[2]))


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def started(folder: Path, repository: Path, pipelines: str = "toy", **given: str) -> Service:
    port, http_port = free_port(), free_port()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("WILLIS_")} | {
        "WILLIS_DATA_DIR": str(folder / "data"),
        "WILLIS_BUNDLE_ROOT": str(folder / "bundles"),
        "WILLIS_REQUIRE_SIGNATURE": "false",
        "WILLIS_DICOM_PORT": str(port),
        "WILLIS_HTTP_PORT": str(http_port),
        "WILLIS_ALLOWED_AE_TITLES": SENDER,
        "WILLIS_QUIET_PERIOD_S": "1",
        "WILLIS_DISK_RESERVE_MB": "1",
        "WILLIS_WORKER_LOST_AFTER_S": "3",
        **given,
    }
    if not (folder / "bundles").exists():
        write_toy_bundle(folder / "bundles")
    log = (folder / "service.log").open("ab")
    command = [sys.executable, "-m", "tests.e2e.toy_service", pipelines]
    process = subprocess.Popen(
        command, cwd=repository, env=environment, stdout=subprocess.PIPE, stderr=log
    )
    log.close()
    ready_text = _until_ready(process, folder)
    return Service(process, folder / "data", port, http_port, ready_text)


def _until_ready(process: subprocess.Popen[bytes], folder: Path) -> str:
    lines: list[str] = []
    patience = Timer(120, process.terminate)
    patience.start()
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line.decode())
        if "results" in lines[-1]:
            patience.cancel()
            return "".join(lines)
    patience.cancel()
    raise AssertionError("The service ended:\n" + (folder / "service.log").read_text()[-4000:])


def stopped(service: Service) -> int:
    service.process.send_signal(signal.SIGTERM)
    code = service.process.wait(60)
    if service.process.stdout is not None:
        service.process.stdout.close()
    return code


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[Service]:
    """One service for the tests that don't break it."""
    folder = tmp_path_factory.mktemp("service")
    archive, port = folder / "archive", free_port()
    archive.mkdir()
    command = ["storescp", "-aet", "ARCHIVE", "-od", str(archive), str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as scp:
        destination = f"ARCHIVE@127.0.0.1:{port}"
        running = started(folder, repository, WILLIS_RESULT_DESTINATIONS=destination)
        yield running
        code = stopped(running)
        scp.terminate()
    assert code == 0


@pytest.fixture
def series(tmp_path: Path) -> Callable[[str], list[Path]]:
    def write(seed: str) -> list[Path]:
        return write_ct_series(tmp_path / f"ct-{seed}", seed=seed, shape=(14, 32, 32))

    return write


def of_study(files: list[Path]) -> Callable[[Job], bool]:
    study = str(pydicom.dcmread(files[0], stop_before_pixels=True).StudyInstanceUID)
    return lambda job: job.study_instance_uid == study and job.state.is_final


def test_a_study_that_was_sent_comes_back_as_seg_sr_findings_and_report(service, series):
    files = series("whole")

    sending = service.storescu(*files)
    job = service.wait_for(of_study(files))

    assert sending.returncode == 0, sending.stderr
    assert job.state is JobState.SUCCEEDED
    assert pydicom.dcmread(service.result(job, ResultKind.SEG)).Modality == "SEG"
    assert pydicom.dcmread(service.result(job, ResultKind.SR)).Modality == "SR"
    text = service.result(job, ResultKind.FINDINGS).read_text()
    assert Findings.model_validate_json(text).status == "succeeded"
    assert service.result(job, ResultKind.REPORT).read_text().startswith("<!")


def test_seg_and_sr_are_sent_to_the_configured_destination(service, series):
    files = series("delivered")
    archive = service.data_dir.parent / "archive"

    service.storescu(*files)
    job = service.wait_for(of_study(files))

    expected = {
        str(pydicom.dcmread(service.result(job, kind)).SOPInstanceUID)
        for kind in (ResultKind.SEG, ResultKind.SR)
    }
    end = time.monotonic() + 20
    while time.monotonic() < end and not expected <= received(archive):
        time.sleep(0.2)
    assert expected <= received(archive)


def received(archive: Path) -> set[str]:
    return {path.name.partition(".")[2] for path in archive.iterdir()}


def test_the_running_service_is_ready_in_every_part(service):
    answer = httpx.get(f"http://127.0.0.1:{service.http_port}/readyz", timeout=20)

    assert answer.status_code == 200, answer.text


def test_the_ready_text_says_where_to_send_and_hides_the_key(service):
    key = (service.data_dir / "api-key").read_text().strip()

    assert f"WILLIS@127.0.0.1:{service.port}" in service.ready_text
    assert key not in service.ready_text
    assert key not in (service.data_dir.parent / "service.log").read_text()
    assert (service.data_dir / "api-key").stat().st_mode & 0o777 == 0o600


def test_a_study_sent_twice_makes_one_job(service, series):
    files = series("twice")

    service.storescu(*files)
    first = service.wait_for(of_study(files))
    again = service.storescu(*files)
    time.sleep(2.5)  # longer than the quiet period and a round

    assert again.returncode == 0
    assert [job.id for job in service.jobs() if of_study(files)(job)] == [first.id]


def test_a_study_sent_in_two_associations_makes_one_job_over_all_of_it(service, series):
    files = series("halves")

    service.storescu(*files[:7])
    service.storescu(*files[7:])
    job = service.wait_for(of_study(files))

    seg = pydicom.dcmread(service.result(job, ResultKind.SEG))
    assert len(seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == len(files)
    assert sum(of_study(files)(job) for job in service.jobs()) == 1


def test_an_unknown_calling_ae_title_is_refused(service, series):
    answer = service.storescu(*series("stranger"), sender="STRANGER")

    assert answer.returncode != 0
    assert b"Calling AE Title Not Recognized" in answer.stderr


def test_other_bytes_under_a_known_uid_are_a_conflict_that_the_findings_show(service, series):
    files = series("conflict")
    changed = pydicom.dcmread(files[0])
    changed.PixelData = bytes(len(changed.PixelData))
    other = files[0].with_name("other.dcm")
    changed.save_as(other)

    answers = [service.storescu(*files), service.storescu(other)]
    job = service.wait_for(of_study(files))

    assert [answer.returncode for answer in answers] == [0, 0]
    assert service.conflicts(job.study_instance_uid) == 1
    findings = Findings.model_validate_json(service.result(job, ResultKind.FINDINGS).read_text())
    assert "SOP_UID_CONFLICT" in [item.code for item in findings.quality]


def test_a_study_without_a_suitable_series_is_a_rejected_job_with_a_report(service, tmp_path):
    overrides = {"ContrastBolusAgent": "IOHEXOL"}
    files = write_ct_series(tmp_path, seed="contrast", shape=(3, 16, 16), overrides=overrides)

    service.storescu(*files)
    job = service.wait_for(of_study(files))

    assert job.state is JobState.REJECTED
    assert job.error_code == "CONTRAST_GIVEN"
    assert job.results[:2] == (ResultKind.FINDINGS, ResultKind.SR)
    assert pydicom.dcmread(service.result(job, ResultKind.SR)).CompletionFlag == "PARTIAL"


def test_a_study_that_no_rule_takes_is_shown_as_not_routed(service, tmp_path):
    files = write_ct_series(tmp_path, seed="mr", shape=(3, 16, 16), overrides={"Modality": "MR"})
    uid = pydicom.dcmread(files[0], stop_before_pixels=True).StudyInstanceUID
    key = (service.data_dir / "api-key").read_text().strip()
    url = f"http://127.0.0.1:{service.http_port}/studies/{uid}"

    service.storescu(*files)
    end, routing = time.monotonic() + 45, None
    while routing is None and time.monotonic() < end:
        time.sleep(0.2)
        answer = httpx.get(url, headers={"X-API-Key": key}, timeout=20)
        routing = answer.json()["study"]["routing"]

    assert routing is not None
    assert routing["code"] == "NO_RULE"


def test_no_patient_identifier_is_in_the_log(service, series):
    files = series("private")
    service.storescu(*files)
    service.wait_for(of_study(files))
    header = pydicom.dcmread(files[0], stop_before_pixels=True)

    log = (service.data_dir.parent / "service.log").read_text()

    for word in (str(header.PatientID), str(header.PatientName), str(header.StudyInstanceUID)):
        assert word and word not in log


def test_a_worker_killed_in_the_middle_of_a_job_is_replaced_and_the_job_ends(
    tmp_path, repository, series
):
    service = started(tmp_path, repository, "slow")
    try:
        files = series("killed")
        service.storescu(*files)
        service.wait_for(lambda job: job.step == "prepare")

        service.worker().kill()
        job = service.wait_for(of_study(files))
    finally:
        code = stopped(service)

    assert (job.state, job.attempts, code) == (JobState.SUCCEEDED, 2, 0)


def test_a_stop_lets_the_running_job_end(tmp_path, repository, series):
    service = started(tmp_path, repository, "slow")
    files = series("drained")
    service.storescu(*files)
    service.wait_for(lambda job: job.step == "prepare")

    code = stopped(service)

    (job,) = service.jobs()
    assert (job.state, job.attempts, code) == (JobState.SUCCEEDED, 1, 0)


def test_a_bug_in_a_pipeline_is_a_failed_job_and_its_message_stays_out_of_the_log(
    tmp_path, repository, series
):
    service = started(tmp_path, repository, "broken")
    try:
        files = series("bug")
        service.storescu(*files)
        job = service.wait_for(of_study(files))
    finally:
        stopped(service)

    log = (tmp_path / "service.log").read_text()
    assert (job.state, job.error_code) == (JobState.FAILED, "INTERNAL_ERROR")
    assert "ZeroDivisionError" in log and "broken_prepare" in log
    assert "Doe^Jane" not in log
