"""``willis predict``: analyse a folder or a file in this process."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from willis_models.errors import BadOption, BadUpload
from willis_service.application.predict import PredictNow
from willis_service.commands.console import print_files, print_findings, step_bar
from willis_service.commands.exit_codes import ExitCode
from willis_service.domain.job import Options


def predict(
    analyse: PredictNow,
    study: Path,
    pipeline: str,
    folder: Path,
    options: Sequence[str] = (),
) -> ExitCode:
    """Analyse, write the results into ``folder`` and print what was found."""
    asked = parsed_options(options)
    files = study_files(study)
    with step_bar() as progress:
        prediction = analyse(files, pipeline, folder, progress, asked)
    print_findings(prediction.findings)
    print_files(prediction.files)
    is_rejected = prediction.findings.status == "rejected"
    return ExitCode.REJECTED if is_rejected else ExitCode.OK


def parsed_options(texts: Sequence[str]) -> Options:
    """``aif_lps=10,-20,35`` as numbers; whatever else is JSON as JSON, and the rest as text.

    Raises BadOption for a text without a name, and for a name that comes twice.
    """
    options: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip() or name.strip() in options:
            raise BadOption(f"{text!r} is no option: write each one once, as name=value.")
        options[name.strip()] = _value(value.strip())
    return options


def _value(text: str) -> Any:
    for candidate in (text, f"[{text}]"):
        try:
            return json.loads(candidate) if text else text
        except ValueError:
            continue
    return text


def study_files(study: Path) -> Sequence[Path]:
    """Every file below the folder, or the one file. Raises BadUpload where there is none."""
    if study.is_file():
        return [study]
    files = sorted(path for path in study.rglob("*") if path.is_file())
    if not files:
        raise BadUpload(f"{study} holds no files: name a folder of DICOM files, or a NIfTI file.")
    return files
