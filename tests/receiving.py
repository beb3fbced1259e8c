"""A receiver over a toy installation, for tests that talk to it over real sockets."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pynetdicom import AE
from pynetdicom.association import Association

from tests.toy_core import Toy
from willis_service.adapters.dicom.incoming import uploaded_instance
from willis_service.adapters.dicom.receiver import Door, Receiver, RunningReceiver

SENDER = "SCANNER"


@contextmanager
def listening(receiver: Receiver, door: Door | None = None) -> Iterator[RunningReceiver]:
    running = receiver.start(door or Door("127.0.0.1", 0))
    try:
        yield running
    finally:
        running.stop(2)


@contextmanager
def associated(
    running: RunningReceiver, *contexts: Any, sender: str = SENDER, **given: Any
) -> Iterator[Association]:
    """An association of pynetdicom's; the test sees for itself whether it was accepted."""
    entity = AE(sender)
    for context in contexts:
        entity.add_requested_context(*(context if isinstance(context, tuple) else (context,)))
    given.setdefault("ae_title", "WILLIS")
    association = entity.associate("127.0.0.1", running.port, **given)
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def stored(toy: Toy, files: list[Path]) -> list[Path]:
    study = uploaded_instance(files[0]).study_instance_uid
    return [toy.core.folder.path_of(i.path) for i in toy.core.studies.instances(study)]


def until_alone(running: RunningReceiver, seconds: float = 30.0) -> None:
    """Until every peer is gone."""
    end = time.monotonic() + seconds
    while running.connections:
        assert time.monotonic() < end, f"{running.connections} connections are left."
        time.sleep(0.02)


def resources() -> tuple[int, int]:
    """Threads and descriptors of this process."""
    return threading.active_count(), len(os.listdir("/proc/self/fd"))
