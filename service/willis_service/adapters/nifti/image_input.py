"""An uploaded NIfTI image as the input of a job: labels go back onto its own grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from willis_models.errors import NoSuitableSeries
from willis_models.pipelines.base import Analysis, Case, InputImage, Role
from willis_service.adapters.nifti.reader import read_nifti, write_labels_like
from willis_service.application.ports import ReportWriter
from willis_service.domain.job import ResultKind
from willis_service.domain.study_facts import StudyFacts


@dataclass
class NiftiInput:
    """One image file. It has no study, so there is neither SEG nor SR."""

    file: Path
    write_report: ReportWriter
    _image: InputImage | None = None

    def read(self, roles: Sequence[Role]) -> Case:
        """Decode the image for the one required role. Raises InputError."""
        required = [role for role in roles if role.required]
        if len(required) != 1:
            raise NoSuitableSeries("The pipeline needs more than one series: send DICOM.")
        self._image = read_nifti(self.file)
        return {required[0].name: self._image}

    def write(
        self,
        analysis: Analysis,
        folder: Path,
        created_at: datetime,
        predecessor: Path | None = None,
    ) -> Sequence[ResultKind]:
        """Write labels and report."""
        report = self.write_report(analysis, self._image, StudyFacts(), folder)
        if analysis.labels is None:
            return report
        write_labels_like(folder / ResultKind.LABELS, analysis.labels, self.file)
        return (ResultKind.LABELS, *report)


def nifti_opener(write_report: ReportWriter) -> Callable[[Sequence[Path]], NiftiInput]:
    """Opens the NIfTI file of a job."""

    def open_input(files: Sequence[Path]) -> NiftiInput:
        return NiftiInput(files[0], write_report)

    return open_input
