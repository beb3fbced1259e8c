"""``willis predict``: analyse a folder or a file in this process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from willis_models.errors import BadUpload
from willis_service.application.predict import PredictNow
from willis_service.commands.console import print_files, print_findings, step_bar
from willis_service.commands.exit_codes import ExitCode


def predict(analyse: PredictNow, study: Path, pipeline: str, folder: Path) -> ExitCode:
    """Analyse, write the results into ``folder`` and print what was found."""
    files = study_files(study)
    with step_bar() as progress:
        prediction = analyse(files, pipeline, folder, progress)
    print_findings(prediction.findings)
    print_files(prediction.files)
    is_rejected = prediction.findings.status == "rejected"
    return ExitCode.REJECTED if is_rejected else ExitCode.OK


def study_files(study: Path) -> Sequence[Path]:
    """Every file below the folder, or the one file. Raises BadUpload where there is none."""
    if study.is_file():
        return [study]
    files = sorted(path for path in study.rglob("*") if path.is_file())
    if not files:
        raise BadUpload(f"{study} holds no files: name a folder of DICOM files, or a NIfTI file.")
    return files
