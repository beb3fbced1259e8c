"""Archives that take results: one that only counts, and one whose faults a scenario sets."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from pynetdicom import AE, evt
from pynetdicom.events import Event
from pynetdicom.presentation import AllStoragePresentationContexts

from tests.archives import Archive
from tests.chaos.waiting import until

TITLE = "ARCHIVE"


class Confirmations(Protocol):
    """An archive as the invariants see it."""

    @property
    def destination(self) -> str:
        """As ``WILLIS_RESULT_DESTINATIONS`` names it."""
        ...

    def confirmed(self) -> list[str]:
        """SOP Instance UIDs that it confirmed, one for each time."""
        ...


@dataclass
class Sink:
    """What came, with the moment (seconds since the epoch); every object is taken."""

    port: int
    received: list[tuple[str, float]] = field(default_factory=list)

    @property
    def destination(self) -> str:
        """As ``WILLIS_RESULT_DESTINATIONS`` names it."""
        return f"{TITLE}@127.0.0.1:{self.port}"

    def confirmed(self) -> list[str]:
        """SOP Instance UIDs that it confirmed, one for each time."""
        return [uid for uid, _ in list(self.received)]

    def first_at(self) -> dict[str, float]:
        """When each object came for the first time."""
        return {uid: moment for uid, moment in reversed(self.received)}

    def _store(self, event: Event) -> int:
        # Nothing is decoded: this peer shares two cores with the service.
        self.received.append((str(event.request.AffectedSOPInstanceUID), time.time()))
        return 0x0000


@dataclass(frozen=True)
class FaultySink:
    """The archive whose faults are set while it runs."""

    archive: Archive

    @property
    def destination(self) -> str:
        """As ``WILLIS_RESULT_DESTINATIONS`` names it."""
        return str(self.archive.address)

    def confirmed(self) -> list[str]:
        """SOP Instance UIDs that it confirmed, one for each time."""
        return list(self.archive.confirmed)


def wait_for(archive: Confirmations, uids: Iterable[str], limit_s: float) -> None:
    """Wait until all of these were confirmed. Raises AssertionError."""
    wanted = set(uids)

    def missing() -> set[str]:
        return wanted - set(archive.confirmed())

    until(lambda: not missing(), limit_s, lambda: f"{len(missing())} objects came", 0.2)


def twice(archive: Confirmations) -> list[str]:
    """Objects that it confirmed more than once."""
    return [uid for uid, n in Counter(archive.confirmed()).items() if n > 1]


@contextmanager
def running_sink(port: int) -> Iterator[Sink]:
    """Listen on this port until the block ends."""
    sink = Sink(port)
    entity = AE(TITLE)
    entity.supported_contexts = AllStoragePresentationContexts
    handlers = [(evt.EVT_C_STORE, sink._store)]
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    try:
        yield sink
    finally:
        if server is not None:
            server.shutdown()
        entity.shutdown()
