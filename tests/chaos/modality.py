"""A scanner that streams studies and keeps its own account of what was acknowledged.

Like a real one it sends again what was not acknowledged, over a new association, and forgets what
was: an instance that the service then lost is lost for good, and the ledger tells.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import httpx

from tests.chaos.rig import Rig
from tests.chaos.studies import Instance, Study, as_file
from tests.chaos.wire import SUCCESS, associated

_PAUSE_S = 0.2


@dataclass
class Ledger:
    """What was acknowledged, when (monotonic seconds), and what else was answered."""

    acknowledged: dict[tuple[str, str], float] = field(default_factory=dict)
    last_acknowledged: dict[str, float] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, instance: Instance, status: int) -> bool:
        """Book an answer; whether it was a success."""
        with self._lock:
            self.answers[f"0x{status:04X}"] += 1
            if status == SUCCESS:
                now = time.monotonic()
                self.acknowledged[instance.sop_instance_uid, instance.sha256] = now
                self.last_acknowledged[instance.study_instance_uid] = now
            return status == SUCCESS

    def note_break(self, error: OSError) -> None:
        """Book an association that did not start or did not end well."""
        with self._lock:
            self.answers[type(error).__name__] += 1

    def refusals(self) -> set[str]:
        """Every kind of answer that was no success."""
        return {answer for answer in list(self.answers) if answer != "0x0000"}

    def holds(self, instance: Instance) -> bool:
        """Whether this instance was acknowledged."""
        return (instance.sop_instance_uid, instance.sha256) in self.acknowledged


@dataclass(frozen=True)
class Modality:
    """A sender on one port."""

    port: int
    ledger: Ledger
    title: str = "SCANNER"
    pause_s: float = 0.0
    """Between two images, as a scanner makes them."""

    def try_once(self, instances: Sequence[Instance]) -> None:
        """One association with these instances. Raises OSError where it breaks."""
        classes = sorted({one.sop_class_uid for one in instances})
        with associated(self.port, classes, self.title) as wire:
            for one in instances:
                status = wire.store(one.sop_class_uid, one.sop_instance_uid, one.data_set)
                self.ledger.note(one, status)
                time.sleep(self.pause_s)
            wire.release()

    def push(self, instances: Sequence[Instance], limit_s: float = 240.0) -> None:
        """Send until all are acknowledged. Raises TimeoutError."""
        end = time.monotonic() + limit_s
        while missing := [one for one in instances if not self.ledger.holds(one)]:
            if time.monotonic() > end:
                raise TimeoutError(f"{len(missing)} instances are not taken: {self.ledger.answers}")
            try:
                self.try_once(missing)
            except OSError as error:
                self.ledger.note_break(error)
            if any(not self.ledger.holds(one) for one in missing):
                time.sleep(_PAUSE_S)


@dataclass(frozen=True)
class Uploader:
    """A sender over STOW-RS, with the same ledger."""

    rig: Rig
    ledger: Ledger
    title: str = "upload"

    def push(self, instances: Sequence[Instance], limit_s: float = 240.0) -> None:
        """Upload all until they are acknowledged. Raises TimeoutError."""
        end = time.monotonic() + limit_s
        while not self._is_taken(instances):
            if time.monotonic() > end:
                raise TimeoutError(f"An upload is not taken: {self.ledger.answers}")
            time.sleep(_PAUSE_S)

    def _is_taken(self, instances: Sequence[Instance]) -> bool:
        parts = [
            b"--part\r\nContent-Type: application/dicom\r\n\r\n" + as_file(one) + b"\r\n"
            for one in instances
        ]
        kind = 'multipart/related; type="application/dicom"; boundary=part'
        try:
            answer = self.rig.post(
                "/dicomweb/studies",
                content=b"".join(parts) + b"--part--\r\n",
                headers={"Content-Type": kind},
            )
        except httpx.TransportError:
            self.ledger.note_break(ConnectionError())
            return False
        return all([self.ledger.note(one, _status(answer)) for one in instances])


def _status(answer: httpx.Response) -> int:
    return SUCCESS if answer.status_code == httpx.codes.OK else answer.status_code


class Stream(threading.Thread):
    """Pushes one study after the other in the background."""

    def __init__(self, modality: Modality | Uploader, studies: Iterable[Study]) -> None:
        super().__init__(name=f"stream-{modality.title}", daemon=True)
        self._modality, self._studies = modality, list(studies)
        self._error: Exception | None = None

    def run(self) -> None:
        """Push all; an error waits for ``finish``."""
        try:
            for study in self._studies:
                self._modality.push(study.instances)
        except Exception as error:
            self._error = error

    def finish(self, limit_s: float = 300.0) -> None:
        """Wait for the end. Raises what went wrong."""
        self.join(limit_s)
        if self.is_alive():
            raise TimeoutError(f"The stream did not end: {self._modality.ledger.answers}")
        if self._error is not None:
            raise self._error
