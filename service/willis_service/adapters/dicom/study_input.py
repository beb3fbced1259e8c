"""The DICOM input of a job: series in, results written into the same study and checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydicom import Dataset, dcmread

from willis_models.errors import NoSuitableSeries
from willis_models.pipelines.base import Analysis, Case, Role
from willis_service.adapters.dicom.facts import study_facts
from willis_service.adapters.dicom.files import scan
from willis_service.adapters.dicom.reader import read_series
from willis_service.adapters.dicom.result_headers import Equipment
from willis_service.adapters.dicom.seg import write_seg
from willis_service.adapters.dicom.series import DicomSeries
from willis_service.adapters.dicom.series_selection import select_series
from willis_service.adapters.dicom.sr import write_sr
from willis_service.adapters.dicom.verify import verify_seg
from willis_service.adapters.dicom.verify_sr import verify_sr
from willis_service.application.ports import ReportWriter
from willis_service.domain.job import ResultKind


@dataclass
class DicomInput:
    """The files of one job. ``read`` comes first; ``write`` works whether or not it succeeded."""

    files: Sequence[Path]
    equipment: Equipment
    write_report: ReportWriter
    _series: dict[str, DicomSeries] | None = None

    def read(self, roles: Sequence[Role]) -> Case:
        """Choose the series and decode them. Raises InputError."""
        selection = select_series(scan(self.files), tuple(roles))
        series = {role: read_series(chosen.listing) for role, chosen in selection.chosen.items()}
        self._series = series
        return {role: one.image for role, one in series.items()}

    def write(
        self,
        analysis: Analysis,
        folder: Path,
        created_at: datetime,
        predecessor: Path | None = None,
    ) -> Sequence[ResultKind]:
        """Write SEG, SR and report; read SEG and SR again and check them. Raises ResultError."""
        series = self._reference(analysis)
        headers = series.headers if series is not None else self._any_headers()
        earlier = None if predecessor is None else dcmread(predecessor)
        seg = self._write_seg(analysis, series, folder, created_at, earlier)
        self._write_sr(analysis, headers, seg, folder, created_at, earlier)
        image = series.image if series is not None else None
        report = self.write_report(analysis, image, study_facts(headers[0]), folder)
        return (*((ResultKind.SEG,) if seg is not None else ()), ResultKind.SR, *report)

    def _reference(self, analysis: Analysis) -> DicomSeries | None:
        """The series whose grid the result lies on; of a rejected study, the first one read."""
        if not self._series:
            return None
        if analysis.reference_role is not None:
            return self._series[analysis.reference_role]
        return next(iter(self._series.values()))

    def _any_headers(self) -> tuple[Dataset, ...]:
        readable = [listing for listing in scan(self.files) if listing.is_readable]
        if not readable:
            raise NoSuitableSeries("The study holds no readable object to report on.")
        return readable[0].headers

    def _write_seg(
        self,
        analysis: Analysis,
        series: DicomSeries | None,
        folder: Path,
        created_at: datetime,
        predecessor: Dataset | None,
    ) -> Dataset | None:
        if analysis.labels is None or series is None:
            return None
        made = write_seg(
            analysis, series, self.equipment, created=created_at, predecessor=predecessor
        )
        if made is None:
            return None
        seg = _saved(made, folder / ResultKind.SEG)
        verify_seg(seg, analysis.findings.segments, analysis.labels, series)
        return seg

    def _write_sr(
        self,
        analysis: Analysis,
        headers: Sequence[Dataset],
        seg: Dataset | None,
        folder: Path,
        created_at: datetime,
        predecessor: Dataset | None,
    ) -> None:
        made = write_sr(
            analysis, headers, seg, self.equipment, created=created_at, predecessor=predecessor
        )
        saved = _saved(made, folder / ResultKind.SR)
        verify_sr(saved, analysis.findings, headers, seg, predecessor)


def dicom_opener(
    equipment: Equipment, write_report: ReportWriter
) -> Callable[[Sequence[Path]], DicomInput]:
    """Opens the DICOM files of a job."""

    def open_input(files: Sequence[Path]) -> DicomInput:
        return DicomInput(files, equipment, write_report)

    return open_input


def _saved(made: Dataset, path: Path) -> Dataset:
    """What is on disk, read again: the checks look at that, and not at the object in memory."""
    made.save_as(path, enforce_file_format=True)
    return dcmread(path)
