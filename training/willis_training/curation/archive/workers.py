"""Work spread over processes, or done in place where there is only one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from typing import TypeVar

Task = TypeVar("Task")
Done = TypeVar("Done")
AHEAD = 2
"""Tasks that wait in front of each process: enough to keep it busy, few enough for the memory."""


def in_parallel(
    work: Callable[[Task], Done], tasks: Iterable[Task], workers: int
) -> Iterator[Done]:
    """``work`` of every task, in the order in which they end. ``work`` must be picklable."""
    if workers <= 1:
        yield from map(work, tasks)
        return
    # spawn: a forked child would inherit the threads of ITK and SQLite's open file.
    with ProcessPoolExecutor(workers, get_context("spawn"), _one_thread_each) as pool:
        waiting: set[Future[Done]] = set()
        for task in tasks:
            waiting.add(pool.submit(work, task))
            if len(waiting) >= AHEAD * workers:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (one.result() for one in done)
        yield from _rest(waiting)


def _one_thread_each() -> None:
    """Before ITK is imported: processes share the cores, threads on top would fight for them."""
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"


def _rest(waiting: set[Future[Done]]) -> Iterator[Done]:
    pending: Sequence[Future[Done]] | set[Future[Done]] = waiting
    while pending:
        done, pending = wait(pending, return_when=FIRST_COMPLETED)
        yield from (one.result() for one in done)
