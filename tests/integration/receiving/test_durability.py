"""A receiver that is killed at any moment loses nothing that it acknowledged (R3)."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from tests.archives import free_port, wait_until
from tests.chaos.wire import CT, associated
from tests.synthetic_ct import write_ct_series
from willis_service.adapters.dicom.incoming import uploaded_instance
from willis_service.adapters.storage.database import open_database
from willis_service.adapters.storage.studies import SqlStudies

_RUN = (
    "from willis_service.roles import run_receiver; "
    "from willis_service.settings import load_settings; run_receiver(load_settings())"
)
RECEIVER = (sys.executable, "-c", _RUN)
SENDERS, FILES, KILLS = 2, 30, 3


@contextmanager
def a_receiver(data: Path, port: int, **given: object) -> Iterator[subprocess.Popen[bytes]]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("WILLIS_")}
    settings = {
        "data_dir": data,
        "dicom_port": port,
        "allowed_ae_titles": "*",
        "disk_reserve_mb": 1,
        "journal_mb": 8,
        **given,
    }
    environment = clean | {f"WILLIS_{k.upper()}": str(v) for k, v in settings.items()}
    log = data.with_suffix(".log").open("ab")
    process = subprocess.Popen(RECEIVER, env=environment, stdout=log, stderr=log)
    try:
        wait_until(lambda: _listens(process, port), 60)
        yield process
    finally:
        process.kill()
        process.wait()
        log.close()


def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    assert process.poll() is None, "The receiver did not start: see its log."
    with suppress(OSError), associated(port) as wire:
        wire.release()
        return True
    return False


@dataclass
class Scanner:
    """Sends a series again and again in its own order until all of it was acknowledged."""

    port: int
    files: list[Path]
    acknowledged: dict[str, bytes] = field(default_factory=dict)
    give_up: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> None:
        while len(self.acknowledged) < len(self.files) and not self.give_up.wait(0.05):
            with suppress(OSError), associated(self.port) as wire:
                for file in self.files:
                    one = uploaded_instance(file)
                    if one.sop_instance_uid in self.acknowledged:
                        continue
                    if wire.store(CT, one.sop_instance_uid, one.data_set) == 0:
                        self.acknowledged[one.sop_instance_uid] = one.data_set
                wire.release()


def kept(data: Path, study: str) -> dict[str, bytes]:
    database = open_database(f"sqlite:///{data / 'willis.sqlite'}")
    try:
        rows = SqlStudies(database).instances(study)
        return {row.sop_instance_uid: uploaded_instance(data / row.path).data_set for row in rows}
    finally:
        database.close()


@pytest.mark.slow
@pytest.mark.parametrize("journal_mb", [8, 0])
def test_a_receiver_killed_at_any_moment_keeps_what_it_acknowledged(tmp_path, request, journal_mb):
    rng, data, port = random.Random(journal_mb), tmp_path / "data", free_port()
    series = [
        write_ct_series(tmp_path / f"ct{n}", shape=(FILES, 256, 256), seed=str(n))
        for n in range(SENDERS)
    ]
    give_up = threading.Event()
    request.addfinalizer(give_up.set)
    scanners = [Scanner(port, files, give_up=give_up) for files in series]
    threads = [threading.Thread(target=scanner, daemon=True) for scanner in scanners]

    def count() -> int:
        return sum(len(scanner.acknowledged) for scanner in scanners)

    for round_number in range(KILLS):
        with a_receiver(data, port, journal_mb=journal_mb) as process:
            for thread in threads:
                if round_number == 0:
                    thread.start()
            goal = min(count() + rng.randint(3, 25), SENDERS * FILES)
            wait_until(lambda goal=goal: count() >= goal, 60)
            process.send_signal(signal.SIGKILL)
        for scanner, files in zip(scanners, series, strict=True):
            so_far = dict(scanner.acknowledged)
            found = kept(data, uploaded_instance(files[0]).study_instance_uid)
            assert {uid: found.get(uid) for uid in so_far} == so_far

    with a_receiver(data, port, journal_mb=journal_mb):
        for thread in threads:
            thread.join(60)
        for scanner, files in zip(scanners, series, strict=True):
            study = uploaded_instance(files[0]).study_instance_uid
            assert kept(data, study) == scanner.acknowledged
            assert len(scanner.acknowledged) == FILES


def test_a_receiver_that_is_told_to_stop_leaves_an_empty_journal(tmp_path):
    data, port = tmp_path / "data", free_port()
    (file,) = write_ct_series(tmp_path / "ct", shape=(1, 64, 64))
    one = uploaded_instance(file)

    with a_receiver(data, port) as process:
        with associated(port) as wire:
            assert wire.store(CT, one.sop_instance_uid, one.data_set) == 0
            wire.release()
        process.terminate()
        assert process.wait(30) == 0

    assert list((data / "journal").iterdir()) == []
    assert len(kept(data, one.study_instance_uid)) == 1


@pytest.mark.slow
def test_memory_stays_flat_over_thousands_of_objects(tmp_path):
    data, port = tmp_path / "data", free_port()
    (file,) = write_ct_series(tmp_path / "ct", shape=(1, 16, 16))
    one = uploaded_instance(file)
    uid = one.sop_instance_uid.encode()
    count = int(os.environ.get("RECEIVE_COUNT", "5000"))

    def send(wire, number: int) -> None:
        fresh = str(number).zfill(len(uid)).replace("0", "1").encode()
        fresh = b"1.2." + fresh[4:]
        assert wire.store(CT, fresh.decode(), one.data_set.replace(uid, fresh)) == 0

    with a_receiver(data, port, max_study_instances=count * 2) as process:
        memory = psutil.Process(process.pid).memory_info
        with associated(port) as wire:
            for number in range(count // 5):
                send(wire, number)
            before = memory().rss
            for number in range(count // 5, count):
                send(wire, number)
            wire.release()
        growth = memory().rss - before

    # Arenas of the allocator come in steps of some megabytes; a leak goes with the count.
    assert growth < (4 << 20) + 100 * count
