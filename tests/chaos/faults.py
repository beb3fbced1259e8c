"""The faults: each pulls one thing away from a running service, and gives it back."""

from __future__ import annotations

import os
import random
import signal
import socket
import sqlite3
import struct
import time
from collections.abc import Callable
from contextlib import closing, suppress

import redis

from tests.chaos import evidence
from tests.chaos.rig import Rig, settings_of
from tests.chaos.studies import Instance
from tests.chaos.waiting import until
from tests.chaos.wire import (
    COMMAND,
    CT,
    LAST,
    abort_pdu,
    associated,
    association_request,
    pdata,
    store_request,
)

Fault = Callable[[Rig, random.Random], None]
_LONGEST_WAIT_S, _LONGEST_IN_JOB_S = 1.5, 0.8
_AWAY_S, _NO_JOB_S = 240.0, 15.0


def at_some_point(rng: random.Random) -> None:
    """Let a random moment pass."""
    time.sleep(rng.uniform(0.0, _LONGEST_WAIT_S))


def within_a_job(rig: Rig, rng: random.Random) -> None:
    """Wait until a job runs (but not for ever: all may have ended), and for a moment within it."""
    end = time.monotonic() + _NO_JOB_S
    while time.monotonic() < end:
        if any(job.state == "running" for job in evidence.jobs(rig)):
            break
        time.sleep(0.05)
    time.sleep(rng.uniform(0.0, _LONGEST_IN_JOB_S))


def kill(role: str) -> Fault:
    """SIGKILL to a process of this role at a random moment; wait until another one runs."""

    def fault(rig: Rig, rng: random.Random) -> None:
        at_some_point(rng)
        if role == "worker":
            within_a_job(rig, rng)
        victim = rig.role(role)
        victim.kill()

        def is_replaced() -> bool:
            with suppress(LookupError):
                return rig.role(role).pid != victim.pid
            return False

        until(is_replaced, _AWAY_S, lambda: f"{role} started again\n{rig.tail()}")

    return fault


def pause(role: str, seconds: float) -> Fault:
    """SIGSTOP to a process of this role, SIGCONT after a while."""

    def fault(rig: Rig, rng: random.Random) -> None:
        at_some_point(rng)
        if role == "worker":
            within_a_job(rig, rng)
        victim = rig.role(role)
        victim.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        with suppress(ProcessLookupError):
            os.kill(victim.pid, signal.SIGCONT)

    return fault


def flush_redis(rig: Rig, rng: random.Random) -> None:
    """Every message is gone at once, while a job runs and others wait."""
    within_a_job(rig, rng)
    with redis.Redis(unix_socket_path=str(settings_of(rig).redis_socket)) as client:
        client.flushall()


def lock_database(seconds: float) -> Fault:
    """Somebody else holds the write lock of SQLite."""

    def fault(rig: Rig, rng: random.Random) -> None:
        at_some_point(rng)
        address = rig.data / "willis.sqlite"
        with closing(sqlite3.connect(address, timeout=30, isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            time.sleep(seconds)
            connection.execute("ROLLBACK")

    return fault


def spoil_associations(count: int, instance: Instance) -> Fault:
    """Associations that end badly, in every way that a socket allows."""

    def fault(rig: Rig, rng: random.Random) -> None:
        for _ in range(count):
            with suppress(OSError):
                rng.choice(_SPOILERS)(rig.port, rng, instance)

    return fault


def _connect_and_close(port: int, rng: random.Random, instance: Instance) -> None:
    socket.create_connection(("127.0.0.1", port)).close()


def _garbage(port: int, rng: random.Random, instance: Instance) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(rng.randbytes(rng.randint(1, 400)))


def _half_a_request(port: int, rng: random.Random, instance: Instance) -> None:
    request = association_request([CT])
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request[: rng.randrange(len(request))])


def _endless_pdu(port: int, rng: random.Random, instance: Instance) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(struct.pack(">BBI", 0x01, 0, 0xFFFF_FFFF) + bytes(64))


def _request_and_reset(port: int, rng: random.Random, instance: Instance) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        # A close with unsent lingering is a TCP reset.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sendall(association_request([CT]))


def _abort_in_data(port: int, rng: random.Random, instance: Instance) -> None:
    with associated(port) as wire:
        context = wire.contexts[CT]
        request = store_request(CT, instance.sop_instance_uid, 1)
        part = instance.data_set[: rng.randint(1, len(instance.data_set) - 1)]
        wire.connection.sendall(pdata(context, request, COMMAND | LAST))
        wire.connection.sendall(pdata(context, part, 0) + abort_pdu())


def _vanish_in_a_pdu(port: int, rng: random.Random, instance: Instance) -> None:
    with associated(port) as wire:
        pdu = pdata(wire.contexts[CT], instance.data_set, 0)
        wire.connection.sendall(pdu[: rng.randrange(1, len(pdu))])


def _unknown_context(port: int, rng: random.Random, instance: Instance) -> None:
    with associated(port) as wire:
        wire.connection.sendall(pdata(201, rng.randbytes(40), COMMAND | LAST))


def _wrong_pdu(port: int, rng: random.Random, instance: Instance) -> None:
    with associated(port) as wire:
        wire.connection.sendall(struct.pack(">BBI", rng.randrange(8, 256), 0, 4) + bytes(4))


_SPOILERS = (
    _connect_and_close,
    _garbage,
    _half_a_request,
    _endless_pdu,
    _request_and_reset,
    _abort_in_data,
    _vanish_in_a_pdu,
    _unknown_context,
    _wrong_pdu,
)
