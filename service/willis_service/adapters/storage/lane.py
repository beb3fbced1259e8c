"""A thread that does one disk operation after the other while its owner goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue

Task = Callable[[], object]


@dataclass(eq=False)
class Lane:
    """Tasks in order, in a thread that starts with the first one. For one owner at a time."""

    _tasks: SimpleQueue[Task | None] = field(default_factory=SimpleQueue)
    _done: SimpleQueue[BaseException | None] = field(default_factory=SimpleQueue)
    _thread: threading.Thread | None = None
    _pending: int = 0

    def submit(self, task: Task) -> None:
        """Have it done soon."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="disk-lane", daemon=True)
            self._thread.start()
        self._pending += 1
        self._tasks.put(task)

    def wait(self) -> None:
        """Until all is done. Raises what the first task raised that failed."""
        failure: BaseException | None = None
        while self._pending:
            error = self._done.get()
            failure = failure or error
            self._pending -= 1
        if failure is not None:
            raise failure

    def stop(self) -> None:
        """End the thread, when all is done."""
        if self._thread is not None:
            self._tasks.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                task()
            except BaseException as error:
                self._done.put(error)
            else:
                self._done.put(None)
