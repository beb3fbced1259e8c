"""The DICOM input of a job: series in, results written into the same study and checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread

from willis_models.errors import NoSuitableSeries
from willis_models.pipelines.base import Analysis, Case, ResultMap, Role
from willis_service.adapters.dicom.case_reader import RoleFiles, read_case
from willis_service.adapters.dicom.facts import study_facts
from willis_service.adapters.dicom.files import scan
from willis_service.adapters.dicom.layers import layers_of
from willis_service.adapters.dicom.parametric_map import write_map
from willis_service.adapters.dicom.result_headers import Equipment
from willis_service.adapters.dicom.seg import write_seg
from willis_service.adapters.dicom.series import DicomSeries
from willis_service.adapters.dicom.sr import write_sr
from willis_service.adapters.dicom.verify import verify_seg
from willis_service.adapters.dicom.verify_map import verify_map
from willis_service.adapters.dicom.verify_sr import verify_sr
from willis_service.application.ports import OrderedInput, ReportWriter
from willis_service.domain.job import DICOM_MAPS, ResultKind


@dataclass
class DicomInput:
    """The files of one job. ``read`` comes first; ``write`` works whether or not it succeeded."""

    files: Sequence[Path]
    equipment: Equipment
    write_report: ReportWriter
    roles: RoleFiles = field(default_factory=dict)
    """The files of each role, where that was decided with the order."""
    _series: dict[str, DicomSeries] | None = None

    def read(self, roles: Sequence[Role], needs: Sequence[frozenset[str]] = ()) -> Case:
        """Decode the series that were ordered, or choose them first. Raises InputError."""
        self._series = read_case(self.files, self.roles, roles, needs)
        return {role: one.image for role, one in self._series.items()}

    def write(
        self,
        analysis: Analysis,
        folder: Path,
        created_at: datetime,
        predecessor: Path | None = None,
    ) -> Sequence[ResultKind]:
        """Write SEG, maps, SR and report; read the objects again and check them.

        Raises ResultError.
        """
        series = self._reference(analysis)
        headers = series.headers if series is not None else self._any_headers()
        earlier = None if predecessor is None else dcmread(predecessor)
        place = _Place(folder, self.equipment, created_at, earlier)
        seg = None if series is None else place.write_seg(analysis, series)
        maps = {} if series is None else place.write_maps(analysis, series)
        place.write_sr(analysis, headers, seg, tuple(maps.values()))
        image = series.image if series is not None else None
        report = self.write_report(analysis, image, study_facts(headers[0]), folder)
        return (*((ResultKind.SEG,) if seg is not None else ()), *maps, ResultKind.SR, *report)

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


@dataclass(frozen=True)
class _Place:
    """Where the objects of one result are written, and what they have in common."""

    folder: Path
    equipment: Equipment
    created_at: datetime
    predecessor: Dataset | None

    def write_seg(self, analysis: Analysis, series: DicomSeries) -> Dataset | None:
        """None where there is nothing to segment."""
        if analysis.labels is None:
            return None
        made = write_seg(analysis, series, self.equipment, **self._moment)
        if made is None:
            return None
        seg = _saved(made, self.folder / ResultKind.SEG)
        verify_seg(seg, analysis.findings.segments, layers_of(analysis), series)
        return seg

    def write_maps(self, analysis: Analysis, series: DicomSeries) -> Mapping[ResultKind, Dataset]:
        """The maps as they are on disk, without their values."""
        return {
            DICOM_MAPS[one.key]: self._map(one, analysis, series)
            for one in analysis.maps
            if one.is_own
        }

    def _map(self, one: ResultMap, analysis: Analysis, series: DicomSeries) -> Dataset:
        made = write_map(one, analysis.findings, series, self.equipment, **self._moment)
        saved = _saved(made, self.folder / DICOM_MAPS[one.key])
        verify_map(saved, one, series)
        del saved.FloatPixelData
        return saved

    def write_sr(
        self,
        analysis: Analysis,
        headers: Sequence[Dataset],
        seg: Dataset | None,
        maps: Sequence[Dataset],
    ) -> None:
        """The report, which names the other objects."""
        made = write_sr(analysis, headers, seg, self.equipment, maps=maps, **self._moment)
        saved = _saved(made, self.folder / ResultKind.SR)
        verify_sr(saved, analysis.findings, headers, seg, self.predecessor, maps)

    @property
    def _moment(self) -> dict[str, Any]:
        return {"created": self.created_at, "predecessor": self.predecessor}


def dicom_opener(
    equipment: Equipment, write_report: ReportWriter
) -> Callable[[OrderedInput], DicomInput]:
    """Opens the DICOM files of a job."""

    def open_input(ordered: OrderedInput) -> DicomInput:
        return DicomInput(ordered.files, equipment, write_report, ordered.roles)

    return open_input


def _saved(made: Dataset, path: Path) -> Dataset:
    """What is on disk, read again: the checks look at that, and not at the object in memory."""
    made.save_as(path, enforce_file_format=True)
    return dcmread(path)
