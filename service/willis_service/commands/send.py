"""``willis send``: a folder to another system by C-STORE."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from willis_models.errors import BadUpload
from willis_service.adapters.dicom.files import SeriesListing, scan
from willis_service.adapters.dicom.sender import DicomSender
from willis_service.commands.console import count_bar, out
from willis_service.commands.exit_codes import ExitCode
from willis_service.domain.peers import Destination


def send(study: Path, destination: Destination, calling_ae_title: str) -> ExitCode:
    """Send every DICOM file below the folder; what is no DICOM object is left out."""
    files = files_of(dicom_series(study))
    send_files(files, destination, calling_ae_title)
    out().print(f"{len(files)} objects sent to {destination}.", markup=False)
    return ExitCode.OK


def send_files(files: Sequence[Path], destination: Destination, calling_ae_title: str) -> None:
    """C-STORE with a progress bar. Raises DestinationUnreachable or DestinationRefused."""
    with count_bar(f"Sending to {destination}", len(files)) as progress:
        sender = DicomSender(calling_ae_title)
        sender(files, destination, lambda sent, _total: progress(sent))


def dicom_series(study: Path) -> Sequence[SeriesListing]:
    """The DICOM series of a folder. Raises BadUpload where there is none."""
    # A DICOMDIR, and what is no DICOM at all, belong to no series.
    found = [listing for listing in scan([study]) if listing.series_instance_uid]
    if not found:
        raise BadUpload(f"{study} holds no DICOM objects. Name the folder of one study.")
    return found


def files_of(series: Sequence[SeriesListing]) -> Sequence[Path]:
    """The files of several series, one after the other."""
    return [file for listing in series for file in listing.files]
