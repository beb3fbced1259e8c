"""A day's studies at an accelerated pace: several senders, urgent ones, late images, repeats."""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from tests.chaos import evidence
from tests.chaos.invariants import Witness
from tests.chaos.modality import Modality
from tests.chaos.studies import Study
from tests.chaos.waiting import until

URGENT_SENDER = "EMERGENCY"
SENDERS = ("CT1", "CT2", "CT3", URGENT_SENDER)
_LATE_LIMIT_S = 600.0


class Kind(StrEnum):
    """How a study comes in."""

    PLAIN = "whole, in one association"
    SPLIT = "in halves, from two senders"
    REPEATED = "whole, and the same again"
    LATE = "last image after the result"
    URGENT = "whole, from the emergency scanner"


_SHARES = {Kind.PLAIN: 70, Kind.SPLIT: 8, Kind.REPEATED: 8, Kind.LATE: 4, Kind.URGENT: 10}


@dataclass(frozen=True)
class Arrival:
    """A study, how it comes in, and when (seconds from the start)."""

    study: Study
    kind: Kind
    due_s: float


@dataclass
class Traffic:
    """Sends what a plan says, with as many senders as there are scanners."""

    witness: Witness
    plan: Sequence[Arrival]

    def run(self) -> float:
        """Send all; seconds it took. Raises what went wrong in a sender."""
        start, waiting = time.monotonic(), queue.SimpleQueue[Arrival | None]()
        errors: list[Exception] = []
        threads = [
            threading.Thread(target=self._send_due, args=(waiting, errors), daemon=True)
            for _ in SENDERS
        ]
        with _joined(threads):
            for arrival in self.plan:
                time.sleep(max(0.0, start + arrival.due_s - time.monotonic()))
                waiting.put(arrival)
                if errors:
                    raise errors[0]
            for _ in threads:
                waiting.put(None)
        if errors:
            raise errors[0]
        return time.monotonic() - start

    def _send_due(
        self, waiting: queue.SimpleQueue[Arrival | None], errors: list[Exception]
    ) -> None:
        while (arrival := waiting.get()) is not None:
            try:
                self._send(arrival)
            except Exception as error:
                errors.append(error)

    def _send(self, arrival: Arrival) -> None:
        images = arrival.study.instances
        first, second = self._scanners(arrival)
        if arrival.kind is Kind.SPLIT:
            middle = len(images) // 2
            first.push(images[:middle])
            second.push(images[middle:])
        elif arrival.kind is Kind.LATE:
            first.push(images[:-1])
            self._wait_for_result(arrival.study)
            first.push(images[-1:])
        else:
            first.push(images)
        if arrival.kind is Kind.REPEATED:
            second.try_once(images)

    def _scanners(self, arrival: Arrival) -> tuple[Modality, Modality]:
        if arrival.kind is Kind.URGENT:
            names = (URGENT_SENDER, URGENT_SENDER)
        else:
            number = int(arrival.study.study_instance_uid[-2:])
            names = (SENDERS[number % 3], SENDERS[(number + 1) % 3])
        first, second = (self.witness.modality(name) for name in names)
        return first, second

    def _wait_for_result(self, study: Study) -> None:
        uid = study.study_instance_uid

        def has_result() -> bool:
            found = evidence.jobs(self.witness.rig, uid)
            return any(job.is_live for job in found)

        until(has_result, _LATE_LIMIT_S, lambda: "a result before the late image", every_s=1.0)


def planned(witness: Witness, count: int, per_minute: float, seed: str) -> list[Arrival]:
    """``count`` studies; they come at random moments around an even pace."""
    rng = random.Random(seed)
    kinds = rng.choices(list(_SHARES), weights=list(_SHARES.values()), k=count)
    moments = sorted(rng.uniform(0.0, 60.0 * count / per_minute) for _ in range(count))
    studies = witness.batch(count)
    return [Arrival(*parts) for parts in zip(studies, kinds, moments, strict=True)]


@contextmanager
def _joined(threads: Sequence[threading.Thread]) -> Iterator[None]:
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join()
