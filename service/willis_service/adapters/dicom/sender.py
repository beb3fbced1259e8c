"""Sends DICOM files by C-STORE, in the encoding that they have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.presentation import build_context

from willis_models.errors import DecodingError, DestinationRefused, DestinationUnreachable
from willis_service.domain.peers import Destination

_MAX_CONTEXTS = 128  # PS3.8: odd identifiers from 1 to 255
_WARNINGS = (0xB000, 0xB006, 0xB007)
_OUT_OF_RESOURCES = range(0xA700, 0xA800)
Progress = Callable[[int, int], None]
"""Called with how many files were sent, and how many there are."""


def _silent(_sent: int, _total: int) -> None:
    return


@dataclass(frozen=True)
class DicomSender:
    """A storage user under our own AE title."""

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
            with self._association(batch, destination) as association:
                for file, _context in batch:
                    _check(association.send_c_store(file), destination)
                    sent += 1
                    progress(sent, len(files))

    def echo(self, destination: Destination) -> None:
        """C-ECHO. Raises DestinationUnreachable or DestinationRefused."""
        verification = ("1.2.840.10008.1.1", "1.2.840.10008.1.2")
        with self._association([(Path(), verification)], destination) as association:
            _check(association.send_c_echo(), destination)

    @contextmanager
    def _association(self, batch: Batch, destination: Destination) -> Iterator[Association]:
        entity = AE(ae_title=self.calling_ae_title)
        entity.acse_timeout = self.acse_timeout_s
        entity.dimse_timeout = self.dimse_timeout_s
        entity.network_timeout = self.network_timeout_s
        entity.connection_timeout = self.acse_timeout_s
        association = entity.associate(
            destination.host,
            destination.port,
            contexts=[build_context(*context) for context in _distinct(batch)],
            ae_title=destination.ae_title,
        )
        _check_association(association, batch, destination)
        try:
            yield association
        finally:
            if association.is_established:
                association.release()


Context = tuple[str, str]
Batch = Sequence[tuple[Path, Context]]


def _distinct(batch: Batch) -> list[Context]:
    return list(dict.fromkeys(context for _file, context in batch))


def _batches(files: Sequence[Path]) -> Iterator[Batch]:
    batch: list[tuple[Path, Context]] = []
    for file in files:
        context = _context(file)
        if len({*_distinct(batch), context}) > _MAX_CONTEXTS:
            yield batch
            batch = []
        batch.append((file, context))
    if batch:
        yield batch


def _context(file: Path) -> Context:
    try:
        meta = read_file_meta_info(file)
        return str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)
    except (InvalidDicomError, AttributeError) as error:
        raise DecodingError(f"{file.name} is no DICOM file with a file-meta header.") from error


def _check_association(association: Association, batch: Batch, to: Destination) -> None:
    answer = association.acceptor.primitive
    if association.is_rejected and answer is not None:
        reason = f"{to} rejected the association (reason {answer.diagnostic})."
        if answer.result == 0x02:
            raise DestinationUnreachable(reason + " It asks to try again later.")
        raise DestinationRefused(reason + " Check the AE titles on both sides.")
    if not association.is_established:
        raise DestinationUnreachable(f"{to} can't be reached: check host, port and firewall.")
    accepted = {(c.abstract_syntax, c.transfer_syntax[0]) for c in association.accepted_contexts}
    if missing := [context for context in _distinct(batch) if context not in accepted]:
        association.release()
        sop_class, syntax = missing[0]
        raise DestinationRefused(f"{to} does not take {sop_class} in transfer syntax {syntax}.")


def _check(answer: object, to: Destination) -> None:
    status = getattr(answer, "Status", None)
    if status is None:
        raise DestinationUnreachable(f"{to} ended the association before it answered.")
    if status == 0x0000 or status in _WARNINGS:
        return
    if status in _OUT_OF_RESOURCES:
        raise DestinationUnreachable(f"{to} is out of resources (status 0x{status:04X}).")
    raise DestinationRefused(f"{to} refused an object with status 0x{status:04X}.")
