"""One process for each device of this machine, where nobody else (torchrun, SLURM) starts them."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue
from typing import Any

from willis_training.fitting.listener import Lines, Listener

Work = Callable[[Listener], None]


def launch(work: Work, count: int, listener: Listener) -> None:
    """Run ``work`` in ``count`` processes of this machine; the first one's events reach us.

    Raises what a process raised; the others are then ended.
    """
    from torch.multiprocessing.spawn import start_processes

    events: SimpleQueue[Any] = get_context("spawn").SimpleQueue()
    hearing = threading.Thread(target=_hear, args=(events, listener), daemon=True)
    hearing.start()
    port = _free_port()
    try:
        start_processes(  # type: ignore[no-untyped-call]
            _enter, (count, port, work, events), nprocs=count, start_method="spawn"
        )
    finally:
        events.put(None)
        hearing.join()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _hear(events: SimpleQueue[Any], listener: Listener) -> None:
    while (event := events.get()) is not None:
        name, arguments = event
        getattr(listener, name)(*arguments)


@dataclass(frozen=True)
class _Sender:
    """Sends what a process has to say to the one that launched it."""

    events: SimpleQueue[Any]

    def line(self, text: str) -> None:
        self.events.put(("line", (text,)))

    def step(self, done: int, total: int, loss: float) -> None:
        self.events.put(("step", (done, total, loss)))


def _enter(rank: int, count: int, port: int, work: Work, events: SimpleQueue[Any]) -> None:
    os.environ |= {
        "LOCAL_RANK": str(rank),
        "RANK": str(rank),
        "WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    work(_Sender(events) if rank == 0 else Lines())
