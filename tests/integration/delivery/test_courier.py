"""The courier as it runs: a thread for each destination, leases kept, an orderly end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from tests.archives import Archive, wait_until
from tests.delivery_rig import Rig, archive_destination, carrier
from willis_service.adapters.storage.workers import DELIVERING, SqlWorkers
from willis_service.application.delivery.courier import Courier, Round


def now() -> datetime:
    return datetime.now(UTC)


def courier_of(rig: Rig, lanes: Sequence[tuple[str, Sequence[Round]]], **given) -> Courier:  # type: ignore[no-untyped-def]
    values = {
        "id": "courier-1",
        "plan": rig.plan,
        "lanes": lanes,
        "outbox": rig.outbox,
        "presence": SqlWorkers(rig.database, DELIVERING),
        "lease": timedelta(seconds=2),
        "clock": now,
        "poll_s": 0.02,
        "drain_s": 5.0,
        "broken_pause_s": 0.05,
    }
    return Courier(**{**values, **given})


@contextmanager
def running(courier: Courier) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=courier.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def real_time(rig: Rig) -> Rig:
    rig.clock = now  # type: ignore[assignment]
    return rig


def lane(rig: Rig, timeout_s: float = 5, **given):  # type: ignore[no-untyped-def]
    destination = rig.destinations[0]
    return rig.lane(
        destination,
        carrier(destination, timeout_s),
        clock=now,
        monotonic=time.monotonic,
        **given,
    )


def test_what_ends_while_it_runs_is_sent_at_once(real_time, archive):
    rig = real_time
    with running(courier_of(rig, [("pacs", [lane(rig)])])):
        job = rig.job()
        wait_until(lambda: len(archive.confirmed) == 2)
        wait_until(lambda: rig.states() == {"SEG": "sent", "SR": "sent"})

    assert set(archive.confirmed) == set(rig.uids(job).values())


def test_it_is_on_the_roll_while_it_runs(real_time, archive):
    rig = real_time
    roll = SqlWorkers(rig.database, DELIVERING)
    with running(courier_of(rig, [])):
        wait_until(lambda: roll.count_present(now(), timedelta(seconds=5)) == 1)

    assert roll.count_present(now(), timedelta(seconds=5)) == 0


def test_a_lease_outlives_an_object_that_takes_longer(real_time, archive):
    rig = real_time
    archive.delay_s = 1.2
    rig.job()
    with running(courier_of(rig, [("pacs", [lane(rig)])], lease=timedelta(seconds=0.4))):
        wait_until(lambda: archive.offered)
        second = [
            rig.outbox.claim("pacs", "courier-2", now(), now() + timedelta(seconds=1))
            for _ in range(20)
            if not threading.Event().wait(0.05)
        ]
        wait_until(lambda: rig.states() == {"SEG": "sent", "SR": "sent"})

    assert not any(second)
    assert len(archive.confirmed) == 2


def test_the_end_waits_for_the_object_that_is_on_its_way(real_time, archive):
    rig = real_time
    archive.delay_s = 0.5
    rig.job()
    with running(courier_of(rig, [("pacs", [lane(rig)])])):
        wait_until(lambda: archive.offered)

    assert rig.states() == {"SEG": "sent", "SR": "sent"}


def test_a_round_that_breaks_ends_neither_its_lane_nor_the_others(real_time, archive):
    rig = real_time
    calls = []

    def broken() -> bool:
        calls.append(1)
        raise RuntimeError("a bug")

    with running(courier_of(rig, [("broken", [broken]), ("pacs", [lane(rig)])])):
        rig.job()
        wait_until(lambda: rig.states() == {"SEG": "sent", "SR": "sent"})
        wait_until(lambda: len(calls) > 2)


def test_an_archive_that_hangs_does_not_keep_a_fast_one_waiting(real_time, archive):
    rig = real_time
    with Archive("FAST") as fast:
        archive.delay_s = 1.0
        slow = rig.destinations[0]
        quick = archive_destination(fast.address, "fast")
        rig.destinations = [slow, quick]
        lanes = [
            (one.name, [rig.lane(one, carrier(one), clock=now, monotonic=time.monotonic)])
            for one in rig.destinations
        ]
        for number in range(3):
            rig.job(f"job {number}")
        with running(courier_of(rig, lanes)):
            wait_until(lambda: len(fast.confirmed) == 6, 5)
            assert len(archive.confirmed) < 6
            wait_until(lambda: len(archive.confirmed) == 6, 20)
