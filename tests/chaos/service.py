"""The service under test as a process: ``python -m tests.chaos.service``.

Settings come from the environment, as always. Where ``CHAOS_CLOCK`` names a file, the wall clock of
every process is off by the seconds in it, and jumps when the file changes; the monotonic clock goes
on, as it does when a machine's clock is set. Children are spawned, so they read this module too.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from tests.chaos.pipelines import chaos_pipelines
from willis_service.settings import load_settings
from willis_service.supervisor import run_all

CLOCK_VARIABLE = "CHAOS_CLOCK"
_LOOK_EVERY_S, _PRECISION_S = 0.1, 0.01


def _follow_clock(file: Path) -> None:
    """Shift this process's wall clock whenever the file says another offset."""
    import time_machine

    clock = time_machine.travel(datetime.now(UTC), tick=True).start()
    real_time = time_machine.escape_hatch.time.time

    def look() -> None:
        while True:
            with suppress(OSError, ValueError):
                # Against the real clock each time, so that no two processes differ by more.
                error_s = real_time() + float(file.read_text()) - time.time()
                if abs(error_s) > _PRECISION_S:
                    clock.shift(error_s)
            threading.Event().wait(_LOOK_EVERY_S)

    threading.Thread(target=look, name="chaos-clock", daemon=True).start()


if CLOCK_VARIABLE in os.environ:
    _follow_clock(Path(os.environ[CLOCK_VARIABLE]))
if __name__ == "__main__":
    run_all(load_settings(), chaos_pipelines)
