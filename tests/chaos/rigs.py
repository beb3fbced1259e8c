"""Services to break: one that gets over most things, and some on special ground."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.archives import Archive
from tests.chaos.disks import PowerDisk, small_disk
from tests.chaos.rig import Rig
from tests.chaos.service import CLOCK_VARIABLE
from tests.chaos.sink import FaultySink

BUSY_S = 3.0
"""How long a writer waits for the database."""


DISK_MB, IMAGE_MB = 48, 320


@contextmanager
def plain_rig(folder: Path) -> Iterator[Rig]:
    """A brisk service, an archive whose faults can be set, and a wall clock that can be."""
    given = {
        "database_busy_s": str(BUSY_S),
        "delivery_first_retry_s": "0.5",
        "delivery_longest_retry_s": "3",
    }
    set_clock(folder, 0)
    clock = {CLOCK_VARIABLE: str(folder / "clock")}
    with Archive() as archive, running(Rig(folder, given, clock, sink=FaultySink(archive))) as rig:
        yield rig


@contextmanager
def rig_on_a_small_disk(folder: Path) -> Iterator[Rig]:
    """Its data folder is a file system of its own, and it keeps no reserve."""
    rig = Rig(folder, {"disk_reserve_mb": "0", "database_busy_s": str(BUSY_S)})
    with small_disk(rig.data, DISK_MB), running(rig):
        yield rig


def power_disk(rig: Rig) -> PowerDisk:
    """The disk below the data folder of a rig that was made for a power cut."""
    return PowerDisk(rig.folder / "disk.img", rig.data)


@contextmanager
def rig_with_a_plug(folder: Path) -> Iterator[Rig]:
    """Its data folder is a disk of its own, whose power can be cut."""
    rig = Rig(folder, {"disk_reserve_mb": "16"})
    disk = power_disk(rig)
    disk.make(IMAGE_MB)
    try:
        with running(rig):
            yield rig
    finally:
        disk.unmount()


@contextmanager
def running(rig: Rig) -> Iterator[Rig]:
    """Start it, stop it, and hold it to a clean exit."""
    try:
        rig.start()
        yield rig
    finally:
        code = rig.stop()
    if code:
        raise AssertionError(f"The service ended with code {code}.\n{rig.tail()}")


def set_clock(folder: Path, seconds: float) -> None:
    """How far the wall clock of this rig's processes is off from now on."""
    fresh = folder / "clock.new"
    fresh.write_text(f"{seconds:+.0f}\n")
    fresh.rename(folder / "clock")
