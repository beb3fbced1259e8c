"""C-STORE: our receiver against dcmtk's storescp and Orthanc, one sender for all of them."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.page import Section, Table
from benchmarks.places import NotHere, Places
from benchmarks.service import RECEIVER_ONLY, running_service, wait_until
from benchmarks.studies import many_images, thin_study
from willis_service.commands.demo import free_ports

TITLE = "Receiving over C-STORE"
IMAGES, ASSOCIATIONS, ROUNDS = 900, (1, 4), 3
PDU_BYTES = 131072
AE_TITLE = "WILLIS"
START_LIMIT_S = 30.0
# Without it Nagle's algorithm holds back the small packets of dcmtk, which Orthanc is built on.
_NO_DELAY = {"TCP_NODELAY": "1"}


@dataclass(frozen=True)
class _Listening:
    """A receiver that listens, and how many images it holds."""

    port: int
    count: Callable[[], int]


_Peer = Callable[[Path], AbstractContextManager[_Listening]]


def measure(places: Places) -> Section:
    """Images a second, median of several rounds in which the receivers take turns."""
    missing = [tool for tool in ("storescu", "storescp", "Orthanc") if shutil.which(tool) is None]
    if "storescu" in missing:
        raise NotHere("storescu is missing: apt-get install dcmtk.")
    folder = places.work / "receive"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        batches = _batches(places, folder / "images")
        rates = _all_rates(batches, folder, missing)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    absent = f"\nNot installed, so not in the table: {', '.join(missing)}." if missing else ""
    return Section(TITLE, _INTRODUCTION + absent, [_table(rates)])


_INTRODUCTION = f"""
{IMAGES} CT images of 525 kB from dcmtk's `storescu` on the same machine and disk, PDU {PDU_BYTES},
TCP_NODELAY=1 for sender and peers; images a second, median of {ROUNDS} rounds in which the
receivers take turns, every receiver fresh in every round. **Ours answers success only when the
image is durable**: its bytes, its place and its row are in the intake journal, written past the
page cache and synced (fdatasync) before the answer, several at once where several wait; file and
row themselves are in place by then and are synced in the background before the journal is used
again. The others sync nothing before they answer. Every image was counted at its receiver.
"""

Batches = Mapping[int, Sequence[Sequence[Path]]]
Rates = Mapping[str, Mapping[int, float]]


def _batches(places: Places, folder: Path) -> Batches:
    """For each number of associations, the files that each of them sends: one study each."""
    source = thin_study(places)
    return {
        n: [many_images(source, IMAGES // n, folder / f"{n}-{i}") for i in range(n)]
        for n in ASSOCIATIONS
    }


def _all_rates(batches: Batches, folder: Path, missing: Sequence[str]) -> Rates:
    peers = {name: one for name, (tool, one) in PEERS.items() if tool not in missing}
    measured: dict[str, dict[int, list[float]]] = {
        name: {n: [] for n in ASSOCIATIONS} for name in peers
    }
    for _ in range(ROUNDS):
        for name, peer in peers.items():
            for associations, rate in _round(peer, batches, folder / "peer").items():
                measured[name][associations].append(rate)
    return {
        name: {n: statistics.median(rates) for n, rates in by_count.items()}
        for name, by_count in measured.items()
    }


def _round(peer: _Peer, batches: Batches, folder: Path) -> dict[int, float]:
    rates, expected = {}, 0
    folder.mkdir()
    try:
        with peer(folder) as listening:
            for associations, batch in batches.items():
                # What another receiver left in the page cache must not be written at our expense.
                os.sync()
                elapsed = _send(batch, listening.port)
                rates[associations] = sum(map(len, batch)) / elapsed
                expected += sum(map(len, batch))
            if (found := listening.count()) != expected:
                raise RuntimeError(f"{found} of {expected} images arrived.")
    finally:
        shutil.rmtree(folder)
    return rates


def _send(batch: Sequence[Sequence[Path]], port: int) -> float:
    """Send every list over an association of its own at the same time; seconds until all ended."""
    options = ["-R", "-aet", "STORESCU", "-aec", AE_TITLE, "--max-pdu", str(PDU_BYTES)]
    command = ["storescu", *options, "127.0.0.1", str(port)]
    start = time.perf_counter()
    senders = [
        subprocess.Popen([*command, *map(str, files)], env=_environment()) for files in batch
    ]
    codes = [sender.wait() for sender in senders]
    elapsed = time.perf_counter() - start
    if any(codes):
        raise RuntimeError(f"storescu ended with {codes}.")
    return elapsed


def _environment() -> dict[str, str]:
    return {**os.environ, **_NO_DELAY}


@contextmanager
def _ours(folder: Path) -> Iterator[_Listening]:
    with running_service(folder, RECEIVER_ONLY, quiet_s=3600) as running:
        yield _Listening(running.dicom.port, running.count_instances)


@contextmanager
def _storescp(folder: Path, *options: str) -> Iterator[_Listening]:
    (port,) = free_ports(1)
    stored = folder / "stored"
    stored.mkdir()
    settings = ["-aet", AE_TITLE, "--max-pdu", str(PDU_BYTES), "--output-directory", str(stored)]
    with _process(["storescp", *options, *settings, str(port)], folder):
        time.sleep(0.5)  # it has no way to say that it listens, and counts a probe as an error
        yield _Listening(port, lambda: sum(1 for _ in stored.iterdir()))


def _forking_storescp(folder: Path) -> AbstractContextManager[_Listening]:
    return _storescp(folder, "--fork")


@contextmanager
def _orthanc(folder: Path) -> Iterator[_Listening]:
    dicom_port, http_port = free_ports(2)
    configuration = {
        "StorageDirectory": str(folder / "stored"),
        "IndexDirectory": str(folder / "stored"),
        "DicomAet": AE_TITLE,
        "DicomPort": dicom_port,
        "HttpPort": http_port,
        "MaximumPduLength": PDU_BYTES,
        "DicomAlwaysAllowStore": True,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
    }
    path = folder / "orthanc.json"
    path.write_text(json.dumps(configuration))
    with httpx.Client(base_url=f"http://127.0.0.1:{http_port}") as api:

        def is_up() -> bool:
            try:
                return api.get("/system").is_success
            except httpx.TransportError:
                return False

        with _process(["Orthanc", str(path)], folder):
            wait_until(is_up, START_LIMIT_S)
            yield _Listening(
                dicom_port, lambda: int(api.get("/statistics").json()["CountInstances"])
            )


@contextmanager
def _process(command: Sequence[str], folder: Path) -> Iterator[None]:
    with (folder / "peer.log").open("wb") as log:
        process = subprocess.Popen(command, env=_environment(), stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(START_LIMIT_S)


OURS = "Willis (durable)"
PEERS: Mapping[str, tuple[str, _Peer]] = {
    OURS: ("storescu", _ours),
    "storescp": ("storescp", _storescp),
    "storescp --fork": ("storescp", _forking_storescp),
    "Orthanc (SQLite)": ("Orthanc", _orthanc),
}
"""Each receiver with the program that it needs."""


def _table(rates: Rates) -> Table:
    columns = ["receiver"]
    for n in ASSOCIATIONS:
        columns += [f"{n} association{'s' if n > 1 else ''}", "ours / it"]
    rows = []
    for name, by_count in rates.items():
        row = [name]
        for n in ASSOCIATIONS:
            row += [f"{by_count[n]:.0f}", f"{rates[OURS][n] / by_count[n]:.2f}"]
        rows.append(row)
    return Table(columns, rows)
