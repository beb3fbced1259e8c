"""The scenarios: studies stream in, something breaks, and nothing may be lost, doubled or silent.

Every scenario takes a witness and a random generator, so that its seed repeats it.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.chaos import evidence
from tests.chaos.disks import full_disk
from tests.chaos.faults import (
    Fault,
    flush_redis,
    kill,
    lock_database,
    pause,
    spoil_associations,
    within_a_job,
)
from tests.chaos.fuzz import mutants
from tests.chaos.invariants import Witness
from tests.chaos.modality import Stream, Uploader
from tests.chaos.rig import Rig
from tests.chaos.rigs import (
    BUSY_S,
    power_disk,
    rig_on_a_small_disk,
    rig_with_a_plug,
    set_clock,
)
from tests.chaos.sink import FaultySink
from tests.chaos.studies import Studies, as_file
from tests.chaos.waiting import until
from tests.chaos.wire import OUT_OF_RESOURCES, SUCCESS

Scenario = Callable[[Witness, random.Random], None]
_STUDIES, _SENDERS = 2, 2
_PAUSE_S = 0.08
"""Between two images of a sender: a study takes a second, so that faults meet it under way."""
_HOURS_S = 3 * 3600.0
"""Long enough that a process which has not beaten since is struck off the roll."""
_POISON_LIMIT_S = 300.0
# Out of resources, a rejected or broken association, and a receiver that is just starting again.
_TRANSIENT = {"0xA700", "NotAssociated", "ConnectionRefusedError", "ConnectionResetError"}


@contextmanager
def while_studies_stream(witness: Witness) -> Iterator[None]:
    """Several senders stream while the block runs, and everything is acknowledged after it."""
    streams = [
        Stream(witness.modality(f"SCANNER{n}", _PAUSE_S), witness.batch(_STUDIES))
        for n in range(_SENDERS)
    ]
    for stream in streams:
        stream.start()
    yield
    for stream in streams:
        stream.finish()


def survives(*faults: Fault) -> Scenario:
    """These faults one after the other while studies stream in."""

    def scenario(witness: Witness, rng: random.Random) -> None:
        with while_studies_stream(witness):
            for fault in faults:
                fault(witness.rig, rng)
        witness.check()

    return scenario


def courier_killed(witness: Witness, rng: random.Random) -> None:
    """The one that sends results dies among them; what it may not have booked is one object."""
    witness.may_come_twice = 1
    survives(kill("courier"))(witness, rng)


def api_killed(witness: Witness, rng: random.Random) -> None:
    """The API dies while studies come in through it (STOW-RS) and over DICOM."""
    upload = Stream(Uploader(witness.rig, witness.ledger), witness.batch(_STUDIES))
    with while_studies_stream(witness):
        upload.start()
        kill("api")(witness.rig, rng)
        upload.finish()
    witness.check()


def spoiled_associations(count: int) -> Scenario:
    """Many associations that end badly, while others work."""

    def scenario(witness: Witness, rng: random.Random) -> None:
        victim = witness.studies.make().instances[0]
        with while_studies_stream(witness):
            spoil_associations(count, victim)(witness.rig, rng)
        witness.check()

    return scenario


def fuzzed_objects(count: int) -> Scenario:
    """Damaged objects: refused, or kept and ended with a code; over DICOM and over REST."""

    def scenario(witness: Witness, rng: random.Random) -> None:
        for number, instances in enumerate(mutants(witness.studies, rng, count)):
            if number % 4 == 0:
                _upload(witness.rig, as_file(instances[0]))
            try:
                witness.modality().try_once(instances)
            except OSError as error:
                witness.ledger.note_break(error)
        _until_all_ended(witness.rig)
        witness.check()

    return scenario


def _upload(rig: Rig, content: bytes) -> None:
    answer = rig.post("/predict", data={"pipeline": "toy"}, files={"file": ("image.dcm", content)})
    if answer.status_code >= 500 and answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
        raise AssertionError(f"A damaged upload was answered {answer.status_code}: {answer.text}")


def _until_all_ended(rig: Rig) -> None:
    """Every study is routed and every job has ended, with a code where it did not succeed."""

    def open_ends() -> list[str]:
        waiting = [f"study {uid} waits" for uid in evidence.open_studies(rig)]
        return waiting + [f"job {j.id} {j.state}" for j in evidence.jobs(rig) if not j.is_final]

    until(lambda: not open_ends(), 300, lambda: f"{open_ends()}\n{rig.tail()}", every_s=0.3)
    unhappy = [job for job in evidence.jobs(rig) if job.state in ("failed", "rejected")]
    if silent := [job for job in unhappy if not job.error_code]:
        raise AssertionError(f"These ended without a code: {silent}")


def poisoned_study(witness: Witness, rng: random.Random) -> None:
    """A study that kills its worker each time is given up with its reason; others are served."""
    poison = witness.studies.make().poisoned()
    with while_studies_stream(witness):
        witness.modality().push(poison.instances)

    def ended() -> bool:
        return any(
            job.is_final
            for job in evidence.jobs(witness.rig)
            if job.study_instance_uid == poison.study_instance_uid
        )

    until(ended, _POISON_LIMIT_S, lambda: f"the poisoned study parked\n{witness.rig.tail()}")
    (job,) = (
        j for j in evidence.jobs(witness.rig) if j.study_instance_uid == poison.study_instance_uid
    )
    if (job.state, job.attempts) != ("failed", 3) or not job.error_code:
        raise AssertionError(f"The poisoned study ended as {job}.")
    witness.check()


def supervisor_killed(witness: Witness, rng: random.Random) -> None:
    """The parent dies: its children go with it, and a new start takes up where they left."""
    witness.may_come_twice = 1
    with while_studies_stream(witness):
        time.sleep(rng.uniform(0.2, 2.0))
        witness.rig.kill_supervisor()
        witness.rig.start()
    witness.check()


def power_lost(witness: Witness, rng: random.Random) -> None:
    """The power fails: what was not synced is gone, and what was acknowledged is not."""
    disk = power_disk(witness.rig)
    with while_studies_stream(witness):
        time.sleep(rng.uniform(0.2, 2.0))
        disk.cut_power()
        time.sleep(0.3)  # in the dark it may answer, but not with success
        witness.rig.kill_all()
        disk.unmount()
        disk.mount()
        witness.rig.start()
    witness.check()


def disk_filled(witness: Witness, rng: random.Random) -> None:
    """Not one byte is left: senders hear that it is transient, and all comes in afterwards."""
    refused = threading.Event()

    def watch() -> None:
        until(lambda: bool(witness.ledger.refusals()), 60, lambda: "a refusal", every_s=0.05)
        refused.set()

    watcher = threading.Thread(target=watch, daemon=True)
    with while_studies_stream(witness):
        time.sleep(rng.uniform(0.0, 0.5))
        with full_disk(witness.rig.data):
            watcher.start()
            refused.wait(60)
            time.sleep(2.0)
    if not refused.is_set():
        raise AssertionError(f"A full disk refused nothing: {witness.ledger.answers}")
    if permanent := witness.ledger.refusals() - _TRANSIENT:
        raise AssertionError(f"A full disk was answered with {permanent}: {witness.ledger.answers}")
    witness.check()


def archive_misbehaved(witness: Witness, rng: random.Random) -> None:
    """An archive that is down, aborts, is full and refuses for a while: each object once, later."""
    assert isinstance(witness.rig.sink, FaultySink)
    archive = witness.rig.sink.archive
    archive.down()
    with while_studies_stream(witness):
        time.sleep(rng.uniform(1.0, 3.0))
    archive.abort_at, archive.abort_keeps = 2, rng.random() < 0.5
    archive.up()
    time.sleep(rng.uniform(1.0, 4.0))
    archive.abort_at, archive.status = None, OUT_OF_RESOURCES
    time.sleep(rng.uniform(1.0, 3.0))
    archive.status, archive.rejects = SUCCESS, (0x02, 0x03, 0x01)
    time.sleep(rng.uniform(0.5, 2.0))
    archive.rejects = None
    witness.check()


def clock_jumped(witness: Witness, rng: random.Random) -> None:
    """The wall clock of every process jumps hours ahead and back again while studies stream."""
    with while_studies_stream(witness):
        for seconds in (_HOURS_S, -_HOURS_S, 0.0):
            within_a_job(witness.rig, rng)
            set_clock(witness.rig.folder, seconds)
    witness.check()


SHARED: Mapping[str, Scenario] = {
    "receiver-killed": survives(kill("receiver")),
    "keeper-killed": survives(kill("keeper")),
    "worker-killed": survives(kill("worker")),
    "courier-killed": courier_killed,
    "api-killed": api_killed,
    "redis-killed": survives(kill("redis")),
    "redis-flushed": survives(flush_redis, flush_redis),
    "redis-paused": survives(pause("redis", 4.0)),
    "worker-paused": survives(pause("worker", 5.0)),
    "receiver-paused": survives(pause("receiver", 3.0)),
    "database-locked": survives(lock_database(BUSY_S + 2.0)),
    "associations-spoiled": spoiled_associations(3000),
    "objects-fuzzed": fuzzed_objects(16),
    "study-poisoned": poisoned_study,
    "archive-misbehaves": archive_misbehaved,
    "clock-jumps": clock_jumped,
    "supervisor-killed": supervisor_killed,
}
"""Scenarios that leave a working service behind, and may follow each other on one."""


OWN: Mapping[str, tuple[Callable[[Path], object], Scenario]] = {
    "power-lost": (rig_with_a_plug, power_lost),
    "disk-full": (rig_on_a_small_disk, disk_filled),
}
"""Scenarios that need a service of their own."""


def witness_of(rig: Rig, seed: str) -> Witness:
    """A witness that knows what the service holds at rest."""
    witness = Witness(rig, Studies(seed))
    witness.warm_up()
    return witness
