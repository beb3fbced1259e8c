"""Sends DICOM files by C-STORE, in the encoding that they have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info

from willis_models.errors import DecodingError, DestinationRefused, DestinationUnreachable
from willis_service.adapters.dicom.associate import (
    MOST_CONTEXTS,
    Context,
    Requestor,
    Timeouts,
    accepted,
)
from willis_service.adapters.dicom.store_status import outcome_of
from willis_service.domain.delivery import Postponed, Refused
from willis_service.domain.peers import Destination

_VERIFICATION = ("1.2.840.10008.1.1", "1.2.840.10008.1.2")
Progress = Callable[[int, int], None]
"""Called with how many files were sent, and how many there are."""


def _silent(_sent: int, _total: int) -> None:
    return


@dataclass(frozen=True)
class DicomSender:
    """A storage user under our own AE title, for a person who waits: the first failure ends it."""

    calling_ae_title: str
    acse_timeout_s: float = 30
    dimse_timeout_s: float = 60
    network_timeout_s: float = 60

    def __call__(
        self, files: Sequence[Path], destination: Destination, progress: Progress = _silent
    ) -> None:
        """Send all files in one association, or in several where the contexts don't fit in one.

        Raises DecodingError for a file that is no DICOM file, DestinationUnreachable (try again
        later) and DestinationRefused (don't).
        """
        sent = 0
        for batch in _batches(files):
            contexts = _distinct(batch)
            with self._requestor.associate(destination, contexts) as association:
                if missing := [one for one in contexts if one not in accepted(association)]:
                    sop_class, syntax = missing[0]
                    raise DestinationRefused(
                        f"{destination} does not take {sop_class} in transfer syntax {syntax}."
                    )
                for file, _context in batch:
                    _check(association.send_c_store(file), destination)
                    sent += 1
                    progress(sent, len(files))

    def echo(self, destination: Destination) -> None:
        """C-ECHO. Raises DestinationUnreachable or DestinationRefused."""
        with self._requestor.associate(destination, [_VERIFICATION]) as association:
            _check(association.send_c_echo(), destination)

    @property
    def _requestor(self) -> Requestor:
        timeouts = Timeouts(self.acse_timeout_s, self.dimse_timeout_s, self.network_timeout_s)
        return Requestor(self.calling_ae_title, timeouts)


Batch = Sequence[tuple[Path, Context]]


def _distinct(batch: Batch) -> list[Context]:
    return list(dict.fromkeys(context for _file, context in batch))


def _batches(files: Sequence[Path]) -> Iterator[Batch]:
    batch: list[tuple[Path, Context]] = []
    for file in files:
        context = context_of(file)
        if len({*_distinct(batch), context}) > MOST_CONTEXTS:
            yield batch
            batch = []
        batch.append((file, context))
    if batch:
        yield batch


def context_of(file: Path) -> Context:
    """SOP class and transfer syntax of a file. Raises DecodingError."""
    try:
        meta = read_file_meta_info(file)
        return str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)
    except (InvalidDicomError, AttributeError) as error:
        raise DecodingError(f"{file.name} is no DICOM file with a file-meta header.") from error


def _check(answer: object, to: Destination) -> None:
    outcome = outcome_of(getattr(answer, "Status", None))
    if isinstance(outcome, Postponed):
        raise DestinationUnreachable(f"{to}: {outcome.message}")
    if isinstance(outcome, Refused):
        raise DestinationRefused(f"{to}: {outcome.message}")
